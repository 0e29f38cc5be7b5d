import fc from 'fast-check';
import { compareRuns } from '../../../../domain/experiments/compare-runs.js';
import { downsample } from '../../../../domain/experiments/downsample.js';

describe('downsampling', () => {
  const anyPoints = fc
    .array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 300 })
    .map((values) => values.map((value, step) => ({ step, value })));

  it('keeps first, last, minimum and maximum, in order, and no more than requested', () => {
    fc.assert(
      fc.property(anyPoints, fc.integer({ min: 4, max: 100 }), (points, maxPoints) => {
        const kept = downsample(points, maxPoints);
        expect(kept.length).toBeLessThanOrEqual(maxPoints);
        expect(kept).toEqual(points.filter((point) => kept.includes(point)));
        if (points.length === 0) return;
        const values = kept.map(({ value }) => value);
        expect(kept[0]).toBe(points[0]);
        expect(kept.at(-1)).toBe(points.at(-1));
        expect(Math.min(...values)).toBe(Math.min(...points.map(({ value }) => value)));
        expect(Math.max(...values)).toBe(Math.max(...points.map(({ value }) => value)));
      }),
    );
  });
});

describe('a comparison of runs', () => {
  const runs = [
    { runId: 'a', parameters: { epochs: 3, seed: 1, filters: [1, 2] }, metrics: { accuracy: 0.9, loss: 0.5, odd: 1 } },
    { runId: 'b', parameters: { epochs: 5, seed: 1, filters: [1, 2] }, metrics: { accuracy: 0.9, loss: 0.4 } },
    { runId: 'c', parameters: { seed: 1, filters: [1, 2] }, metrics: { accuracy: 0.8, duration_ms: 3 } },
  ];

  it('shows only the parameters that differ', () => {
    expect(compareRuns(runs).parameters).toEqual([{ name: 'epochs', values: [3, 5, null] }]);
    expect(compareRuns(runs.slice(0, 1)).parameters).toEqual([]);
  });

  it('marks all best values, and none for a metric without a direction', () => {
    expect(compareRuns(runs).metrics).toEqual([
      { name: 'accuracy', values: [0.9, 0.9, 0.8], better: 'higher', best: ['a', 'b'] },
      { name: 'duration_ms', values: [null, null, 3], better: 'lower', best: ['c'] },
      { name: 'loss', values: [0.5, 0.4, null], better: 'lower', best: ['b'] },
      { name: 'odd', values: [1, null, null], better: null, best: [] },
    ]);
  });
});
