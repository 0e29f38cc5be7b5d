import { askWhileRetired } from '../../../../domain/promotion/retired-model.js';
import { decisionOf } from '../../../support/measurements.js';

describe('a decision on a version of a retired model', () => {
  const retirement = { version: 3, at: '2030-01-01T00:00:00.000Z', by: 'ada', reason: 'replaced' };

  it('asks a person instead of promoting', () => {
    expect(askWhileRetired(decisionOf('promote'), retirement)).toMatchObject({
      outcome: 'needs_approval',
      summary: 'Needs approval: the model was retired by ada at 2030-01-01T00:00:00.000Z.',
    });
  });

  it('is unchanged if it refuses, or if the model is not retired', () => {
    expect(askWhileRetired(decisionOf('refuse'), retirement)).toEqual(decisionOf('refuse'));
    expect(askWhileRetired(decisionOf('promote'), null)).toEqual(decisionOf('promote'));
  });
});
