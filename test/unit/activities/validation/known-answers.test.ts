import { createKnownAnswers } from '../../../../activities/validation/known-answers.js';

describe('the known answers', () => {
  it('of a version grow, and are those of that version only', () => {
    const known = createKnownAnswers();
    known.add('a', [['one', [0.9, 0.1]]]);
    known.add('a', [['two', [0.2, 0.8]]]);
    known.add('b', [['one', [0.5, 0.5]]]);
    expect([...known.of('a')]).toEqual([
      ['one', [0.9, 0.1]],
      ['two', [0.2, 0.8]],
    ]);
    expect(known.of('c').size).toBe(0);
  });

  it('are those of the latest versions', () => {
    const known = createKnownAnswers();
    for (let version = 0; version < 12; version += 1) {
      known.add(String(version), [['one', [1]]]);
      known.add('0', [['one', [1]]]);
    }
    expect([0, 1, 4, 5, 11].map((version) => known.of(String(version)).size)).toEqual([1, 0, 0, 1, 1]);
  });
});
