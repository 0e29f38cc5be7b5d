import { PerennialError, errorCodeOf, errorTable, systemFault } from '../../../contracts/errors.js';

describe('errorCodeOf', () => {
  it('gives the code of a known failure', () => {
    expect(errorCodeOf(new PerennialError('no_model', 'none yet'))).toBe('no_model');
  });

  it('maps an unknown error to internal, regardless of its code', () => {
    expect(errorCodeOf(Object.assign(new Error('x'), { code: 'ENOENT' }))).toBe('internal');
    expect(errorCodeOf('text')).toBe('internal');
  });
});

describe('systemFault', () => {
  const fault = (code: string): Error => Object.assign(new Error(`${code}: write '/home/me/secret'`), { code });

  it.each([
    ['ENOSPC', 'insufficient_storage', 507],
    ['EDQUOT', 'insufficient_storage', 507],
    ['EROFS', 'insufficient_storage', 507],
    ['EMFILE', 'system_limit', 503],
    ['ENFILE', 'system_limit', 503],
    ['ENOMEM', 'system_limit', 503],
  ] as const)('makes %s %s (%d), which can be retried, without its path', (system, code, status) => {
    expect(errorCodeOf(fault(system))).toBe(code);
    const { code: found, message = '' } = systemFault(fault(system)) ?? {};
    expect(found).toBe(code);
    expect(message).toContain(system);
    expect(message).not.toContain('secret');
    expect(errorTable[code]).toMatchObject({ status, retryable: true });
  });

  it('leaves other errors to their own rules', () => {
    expect(systemFault(fault('ENOENT'))).toBeNull();
    expect(systemFault(new PerennialError('no_model', 'none'))).toBeNull();
  });
});
