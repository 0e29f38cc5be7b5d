import fc from 'fast-check';
import type { RiskPoint } from '../../../../contracts/registry/bundle.js';
import { chooseAbstention } from '../../../../domain/predictions/abstention.js';

const curve: RiskPoint[] = [
  { threshold: 0.55, accepted: 199, wrong: 19 },
  { threshold: 0.7, accepted: 179, wrong: 8 },
  { threshold: 0.9, accepted: 99, wrong: 0 },
  { threshold: 0.99, accepted: 9, wrong: 0 },
];

/** A risk curve of held-out images: the higher the threshold, the fewer answers. */
const curves = fc
  .array(fc.record({ confidence: fc.integer({ min: 50, max: 100 }), isWrong: fc.boolean() }), { minLength: 1 })
  .map((answers) => {
    const thresholds = [...new Set(answers.map(({ confidence }) => confidence))].sort((a, b) => a - b);
    return thresholds.map((threshold) => {
      const accepted = answers.filter(({ confidence }) => confidence >= threshold);
      return {
        threshold: threshold / 100,
        accepted: accepted.length,
        wrong: accepted.filter(({ isWrong }) => isWrong).length,
      };
    });
  });
const targets = fc.double({ min: 0.001, max: 0.999, noNaN: true });

describe('the choice of an abstention', () => {
  it.each([
    [0.1, 0.55, 1, 0.1],
    [0.05, 0.7, 179 / 199, 0.05],
    [0.03, 0.9, 99 / 199, 0.01],
  ])('at a risk of %d answers from %d on', (target, threshold, coverage, riskBound) => {
    expect(chooseAbstention(curve, target)).toMatchObject({ targetRisk: target, threshold, coverage, riskBound });
  });

  it('explains on which images it is based', () => {
    const { reason } = chooseAbstention(curve, 0.05);
    expect(reason).toContain(
      'Of 199 held-out images, 179 had a confidence of at least 0.700, and 8 of those were wrong',
    );
    expect(reason).toContain('the risk is 5 %');
  });

  it('never abstains where every risk is accepted', () => {
    expect(chooseAbstention(curve, 1)).toMatchObject({ threshold: null, coverage: 1 });
  });

  it.each([
    ['too few right answers', curve, 0.005, 'No threshold reaches a risk of 0.5 %'],
    ['no answer', [], 0.05, 'No threshold reaches'],
    ['a bundle without a risk curve', null, 0.05, 'has no risk curve'],
  ])('never abstains on the word of %s, and says so', (_, known, target, reason) => {
    const chosen = chooseAbstention(known, target);
    expect(chosen).toMatchObject({ threshold: null, coverage: 1, riskBound: null });
    expect(chosen.reason).toContain(reason);
    expect(chosen.reason).toContain('always answers');
  });

  it('answers for no more than the target allows, and for no less when more is allowed', () => {
    fc.assert(
      fc.property(curves, targets, targets, (known, one, other) => {
        const [strict, lax] = [Math.min(one, other), Math.max(one, other)].map((target) =>
          chooseAbstention(known, target),
        );
        for (const chosen of [strict, lax]) {
          if (!chosen || chosen.threshold === null) continue;
          const point = known.find(({ threshold }) => threshold === chosen.threshold);
          expect((point?.wrong ?? NaN) / (point?.accepted ?? NaN)).toBeLessThanOrEqual(chosen.targetRisk);
          expect(chosen.riskBound).toBeLessThanOrEqual(chosen.targetRisk);
        }
        // A threshold for the strict target also fits the lax one.
        const asked = strict?.threshold ?? null;
        if (asked !== null) expect(lax?.threshold ?? NaN).toBeLessThanOrEqual(asked);
      }),
    );
  });
});
