import fc from 'fast-check';
import { labelStrategies } from '../../../../contracts/predictions/labels.js';
import { servingPolicySchema } from '../../../../contracts/promotion/policy.js';
import { capturesInput } from '../../../../domain/predictions/captures-input.js';
import { byPriority, labelPriority, type LabelEvidence } from '../../../../domain/predictions/label-priority.js';
import { uuid7 } from '../../../../platform/uuid7.js';

const sure: LabelEvidence = {
  id: 'b',
  probabilities: { dandelion: 1, grass: 0 },
  predicted: 'dandelion',
  abstained: false,
  unfamiliar: false,
  neighbour: 'dandelion',
  conflicted: false,
  answers: ['dandelion'],
};

const evidence = fc
  .tuple(
    fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 5 }),
    fc.boolean(),
    fc.boolean(),
    fc.boolean(),
    fc.constantFrom(null, 'c0', 'c1'),
    fc.subarray(['c0', 'c1', 'c2']),
    fc.uuid(),
  )
  .map(([weights, abstained, unfamiliar, conflicted, neighbour, answers, id]): LabelEvidence => {
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const share = (weight: number): number => (total === 0 ? 1 / weights.length : weight / total);
    const probabilities = Object.fromEntries(weights.map((weight, index) => [`c${index}`, share(weight)]));
    return { id, probabilities, predicted: 'c0', abstained, unfamiliar, neighbour, conflicted, answers };
  });

describe('the priority of a label', () => {
  it('is zero for a certain answer without disagreement', () => {
    expect(labelPriority(sure, 'balanced')).toEqual({ score: 0, uncertainty: 0, disagreement: 0, reasons: [] });
  });

  it('names each reason', () => {
    const doubtful = {
      ...sure,
      probabilities: { dandelion: 0.5, grass: 0.5 },
      abstained: true,
      unfamiliar: true,
      neighbour: 'grass',
      conflicted: true,
      answers: ['dandelion', 'grass'],
    };
    expect(labelPriority(doubtful, 'balanced')).toEqual({
      score: 1,
      uncertainty: 1,
      disagreement: 1,
      reasons: ['uncertain', 'abstained', 'unfamiliar', 'people_disagree', 'versions_disagree', 'neighbour_disagrees'],
    });
  });

  it('lies between 0 and 1 and never falls when a sign is added', () => {
    fc.assert(
      fc.property(evidence, (each) => {
        for (const strategy of labelStrategies) {
          const { score } = labelPriority(each, strategy);
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score).toBeLessThanOrEqual(1);
          for (const sign of [{ abstained: true }, { unfamiliar: true }, { conflicted: true }, { neighbour: 'c9' }]) {
            expect(labelPriority({ ...each, ...sign }, strategy).score).toBeGreaterThanOrEqual(score);
          }
        }
      }),
    );
  });

  it('orders all pictures in one way, whatever order they come in', () => {
    fc.assert(
      fc.property(fc.uniqueArray(evidence, { selector: ({ id }) => id, maxLength: 20 }), (all) => {
        const ranked = all.map((each) => ({ id: each.id, ...labelPriority(each, 'balanced') }));
        const ids = (items: typeof ranked): string[] => items.sort(byPriority).map(({ id }) => id);
        expect(ids([...ranked])).toEqual(ids([...ranked].reverse()));
      }),
    );
  });
});

describe('the pictures a policy keeps', () => {
  const policy = (keepInputs: 'none' | 'sample' | 'all', inputShare = 0.1) =>
    servingPolicySchema.parse({ keepInputs, inputShare });

  it('are none, all, or about the share that is asked for, the same ones each time', () => {
    const ids = Array.from({ length: 20_000 }, () => uuid7());
    const kept = (share: number): string[] => ids.filter((id) => capturesInput(id, policy('sample', share)));
    expect(ids.some((id) => capturesInput(id, policy('none', 1)))).toBe(false);
    expect(ids.every((id) => capturesInput(id, policy('all', 0)))).toBe(true);
    expect(kept(0)).toEqual([]);
    expect(kept(1)).toEqual(ids);
    expect(kept(0.25).length / ids.length).toBeGreaterThan(0.22);
    expect(kept(0.25).length / ids.length).toBeLessThan(0.28);
    expect(kept(0.25)).toEqual(kept(0.25));
    const wider = new Set(kept(0.3));
    expect(kept(0.25).every((id) => wider.has(id))).toBe(true);
  });
});
