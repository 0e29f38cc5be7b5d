import fc from 'fast-check';
import sharp from 'sharp';
import { drawSearch } from '../../../../model/tuning/draw-search.js';
import { writeSearchTable, type ShownTrial } from '../../../../model/tuning/search-table.js';
import { hyperparameters } from '../../../support/measurements.js';

function trialOf(number: number, losses: readonly number[], changed: Partial<ShownTrial> = {}): ShownTrial {
  const rungs = losses.map((loss, index) => ({ epochs: 4 * 3 ** index, bestEpoch: 1, loss, accuracy: 0.9 }));
  const status = losses.length === 3 ? 'finished' : 'stopped';
  return { number, status, hyperparameters, rungs, error: null, ...changed };
}

const trials = [
  trialOf(1, [0.6, 0.5]),
  trialOf(2, [0.5, 0.3, 0.2], { hyperparameters: { ...hyperparameters, learningRate: 0.01 } }),
  trialOf(3, [0.9]),
  trialOf(4, [0.4, 0.35, 0.3]),
  trialOf(5, [], { status: 'failed', error: { message: 'It | diverged.' } }),
  trialOf(6, [0.8]),
];
const search = { modelName: 'rose', dataset: 'flowers', datasetVersion: 3, bestTrial: 2, trials };

function draw(shown: readonly ShownTrial[], bestTrial: number | null = 2): string {
  return drawSearch({ ...search, trials: shown, bestTrial, rungEpochs: [4, 12, 36] });
}

/** Where the points of trials are. */
function pointsOf(svg: string): { x: number; y: number }[] {
  const circles = svg.matchAll(/<circle cx="([^"]+)" cy="([^"]+)"/g);
  return [...circles].map(([, x, y]) => ({ x: Number(x), y: Number(y) }));
}

describe('drawSearch', () => {
  it('shows each trial once, the best in its colour and above all others, those that stopped early in grey', async () => {
    const svg = draw(trials);
    const colours = [...svg.matchAll(/<polyline [^>]*stroke="([^"]+)"/g)].map(([, colour]) => colour);
    expect(colours).toEqual(['#9aa5b1', '#9aa5b1', '#9aa5b1', '#0072b2', '#c2410c']);
    expect(svg).toContain('6 trials, 2 finished, 3 stopped early, 1 failed; best trial 2: validation loss 0.2000');
    const { info } = await sharp(Buffer.from(svg)).raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([880, 420]);
  });

  it('puts each score where the axes say it is', () => {
    // Losses from 0 (bottom, 364) to 1 (top, 84) at the three rungs, whose epochs grow by the same factor.
    expect(pointsOf(draw([trialOf(1, [1, 0.5, 0.25])], 1))).toEqual([
      { x: 82, y: 84 },
      { x: 465, y: 224 },
      { x: 848, y: 294 },
    ]);
  });

  it('does not let one huge loss flatten the others', () => {
    const points = pointsOf(draw([...trials, trialOf(7, [250])]));
    expect(Math.min(...points.map(({ y }) => y))).toBe(84);
    expect(new Set(points.map(({ y }) => y)).size).toBeGreaterThan(5);
  });

  it.each([
    ['no trial', []],
    ['one rung', [trialOf(1, [0.5])]],
    ['losses of 0', [trialOf(1, [0, 0, 0])]],
  ])('draws a search of %s', async (_name, shown) => {
    const svg = draw(shown, null);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    await sharp(Buffer.from(svg)).raw().toBuffer();
  });

  it('stays within its frame whatever the losses are', () => {
    const loss = fc.double({ min: 0, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.array(loss, { minLength: 1, maxLength: 3 }), { maxLength: 8 }), (lossLists) => {
        const svg = draw(lossLists.map((losses, index) => trialOf(index + 1, losses)));
        expect(svg).not.toMatch(/NaN|Infinity|undefined/);
        for (const { x, y } of pointsOf(svg)) {
          expect(x).toBeGreaterThanOrEqual(70);
          expect(x).toBeLessThanOrEqual(860);
          expect(y).toBeGreaterThanOrEqual(84);
          expect(y).toBeLessThanOrEqual(364);
        }
      }),
    );
  });
});

describe('writeSearchTable', () => {
  it('lists the best first, with what differs between trials alone', () => {
    const rows = writeSearchTable(search)
      .split('\n')
      .filter((line) => line.startsWith('|'));
    expect(rows).toEqual([
      '| trial | outcome | epochs | validation loss | validation accuracy | learning_rate |',
      '| --- | --- | --- | --- | --- | --- |',
      '| **2** | finished | 36 | 0.2000 | 90.0 % | 0.01 |',
      '| 4 | finished | 36 | 0.3000 | 90.0 % | 0.003 |',
      '| 1 | stopped early | 12 | 0.5000 | 90.0 % | 0.003 |',
      '| 6 | stopped early | 4 | 0.8000 | 90.0 % | 0.003 |',
      '| 3 | stopped early | 4 | 0.9000 | 90.0 % | 0.003 |',
      '| 5 | failed: It / diverged. |  |  |  | 0.003 |',
    ]);
  });
});
