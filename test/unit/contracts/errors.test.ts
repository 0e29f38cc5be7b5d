import { PerennialError, errorCodeOf } from '../../../contracts/errors.js';

describe('errorCodeOf', () => {
  it('gives the code of a known failure', () => {
    expect(errorCodeOf(new PerennialError('no_model', 'none yet'))).toBe('no_model');
  });

  it('maps an unknown error to internal, regardless of its code', () => {
    expect(errorCodeOf(Object.assign(new Error('x'), { code: 'ENOENT' }))).toBe('internal');
    expect(errorCodeOf('text')).toBe('internal');
  });
});
