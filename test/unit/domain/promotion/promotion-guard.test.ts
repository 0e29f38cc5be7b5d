import type { LiveStats } from '../../../../contracts/promotion/live-stats.js';
import { guardPolicySchema } from '../../../../contracts/promotion/policy.js';
import { judgeGuard, type GuardJudgement, type GuardInput } from '../../../../domain/promotion/promotion-guard.js';

const policy = guardPolicySchema.parse({ minPredictions: 20 });

function figures(given: Partial<LiveStats> = {}): LiveStats {
  const predictions = given.predictions ?? 100;
  return {
    generation: 2,
    version: 2,
    predictions,
    errors: 0,
    p95Ms: 20,
    confidenceSum: 0.9 * predictions,
    classes: { dandelion: Math.round(predictions * 0.6), grass: Math.round(predictions * 0.4) },
    ...given,
  };
}

function judge(view: Partial<GuardInput>): GuardJudgement {
  return judgeGuard({ policy, current: [figures()], previous: [figures()], testConfidence: null, ...view });
}

describe('the guard of a promotion', () => {
  it('accepts a version that behaves like the previous one', () => {
    expect(judge({})).toEqual({ observed: 100, breach: null });
  });

  it('decides nothing before enough predictions, failures included', () => {
    expect(judge({ current: [figures({ predictions: 5, errors: 14 })] })).toEqual({ observed: 19, breach: null });
    expect(judge({ current: [figures({ predictions: 5, errors: 15 })] }).breach).toMatch(/15 of 20 predictions failed/);
  });

  it('sums the replicas', () => {
    const [good, bad] = [figures({ predictions: 90 }), figures({ predictions: 10, errors: 12 })];
    expect(judge({ current: [good, bad] }).breach).toMatch(/12 of 112 predictions failed \(10.7 %; at most 5.0 %/);
    expect(judge({ current: [good, figures({ predictions: 10, errors: 3 })] }).breach).toBeNull();
  });

  it('uses the latency of the slowest replica', () => {
    expect(judge({ current: [figures({ p95Ms: 30 }), figures({ p95Ms: 2600 })] }).breach).toMatch(
      /2600 ms; at most 2000 ms/,
    );
    expect(judge({ current: [figures({ p95Ms: null })] }).breach).toBeNull();
  });

  it('compares confidence with the previous version, else with the test images, else not at all', () => {
    const timid = [figures({ confidenceSum: 60 })];
    expect(judge({ current: timid }).breach).toMatch(/0.600 on average over 100 predictions; 0.900 is usual/);
    expect(judge({ current: timid, previous: [], testConfidence: 0.95 }).breach).toMatch(/0.950 is usual/);
    expect(judge({ current: timid, previous: [figures({ predictions: 5 })], testConfidence: 0.7 }).breach).toBeNull();
    expect(judge({ current: timid, previous: [], testConfidence: null }).breach).toBeNull();
  });

  it('treats one dominant class as a collapse only if the previous version predicted another mix', () => {
    const one = [figures({ classes: { dandelion: 99, grass: 1 } })];
    expect(judge({ current: one }).breach).toMatch(/99.0 % of the predictions are “dandelion”.*had 60.0 %/);
    expect(judge({ current: one, previous: [] }).breach).toBeNull();
    expect(judge({ current: one, previous: one }).breach).toBeNull();
    expect(judge({ current: [figures({ classes: { dandelion: 97, grass: 3 } })] }).breach).toBeNull();
  });
});
