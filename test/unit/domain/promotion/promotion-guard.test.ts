import type { LiveStats } from '../../../../contracts/promotion/live-stats.js';
import { guardPolicySchema } from '../../../../contracts/promotion/policy.js';
import { judgeGuard, type GuardJudgement, type GuardView } from '../../../../domain/promotion/promotion-guard.js';

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

function judge(view: Partial<GuardView>): GuardJudgement {
  return judgeGuard({ policy, current: [figures()], former: [figures()], testConfidence: null, ...view });
}

describe('the guard of a promotion', () => {
  it('finds nothing wrong with what does as the version before', () => {
    expect(judge({})).toEqual({ seen: 100, breach: null });
  });

  it('says nothing before it has seen enough, failures included', () => {
    expect(judge({ current: [figures({ predictions: 5, errors: 14 })] })).toEqual({ seen: 19, breach: null });
    expect(judge({ current: [figures({ predictions: 5, errors: 15 })] }).breach).toMatch(/15 of 20 predictions failed/);
  });

  it('adds the replicas up', () => {
    const [good, bad] = [figures({ predictions: 90 }), figures({ predictions: 10, errors: 12 })];
    expect(judge({ current: [good, bad] }).breach).toMatch(/12 of 112 predictions failed \(10.7 %; at most 5.0 %/);
    expect(judge({ current: [good, figures({ predictions: 10, errors: 3 })] }).breach).toBeNull();
  });

  it('takes the slowest replica for the latency', () => {
    expect(judge({ current: [figures({ p95Ms: 30 }), figures({ p95Ms: 2600 })] }).breach).toMatch(/2600 ms; 2000 ms/);
    expect(judge({ current: [figures({ p95Ms: null })] }).breach).toBeNull();
  });

  it('holds confidence against the version before, else against the test images, else not at all', () => {
    const timid = [figures({ confidenceSum: 60 })];
    expect(judge({ current: timid }).breach).toMatch(/0.600 on average over 100 predictions, where 0.900 was usual/);
    expect(judge({ current: timid, former: [], testConfidence: 0.95 }).breach).toMatch(/where 0.950 was usual/);
    expect(judge({ current: timid, former: [figures({ predictions: 5 })], testConfidence: 0.7 }).breach).toBeNull();
    expect(judge({ current: timid, former: [], testConfidence: null }).breach).toBeNull();
  });

  it('calls one class alone a collapse only where there was another mix before', () => {
    const one = [figures({ classes: { dandelion: 99, grass: 1 } })];
    expect(judge({ current: one }).breach).toMatch(/99.0 % of the predictions are dandelion.*had 60.0 %/);
    expect(judge({ current: one, former: [] }).breach).toBeNull();
    expect(judge({ current: one, former: one }).breach).toBeNull();
    expect(judge({ current: [figures({ classes: { dandelion: 97, grass: 3 } })] }).breach).toBeNull();
  });
});
