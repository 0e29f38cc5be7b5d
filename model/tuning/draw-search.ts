import { drawing, element, escapeText, line, palette, shorten, text } from '../charts/svg.js';
import { roundTicks } from '../charts/ticks.js';
import { describeSearch, type ShownSearch, type ShownTrial } from './search-table.js';

const size = { width: 880, height: 420 };
/** Longest model name that leaves room for the legend, in characters. */
const longestName = 40;
const frame = { left: 70, right: 860, top: 84, bottom: 364 };

interface Axes {
  x: (epochs: number) => number;
  /** Losses beyond the axis are drawn at its upper end. */
  y: (loss: number) => number;
  lossTicks: number[];
  epochTicks: readonly number[];
}

/**
 * Chart of a search as SVG text: each trial's best validation loss at the rungs it reached; trials that stopped early
 * in grey, the best one highlighted. The axis of epochs is logarithmic.
 */
export function drawSearch(search: ShownSearch & { rungEpochs: readonly number[] }): string {
  const summary = describeSearch(search);
  const axes = planAxes(search);
  const best = search.trials.find(({ number }) => number === search.bestTrial);
  // The best trial is drawn last, above the rest.
  const others = search.trials.filter((trial) => trial !== best);
  const ordered = [...others.filter(isGrey), ...others.filter((trial) => !isGrey(trial)), ...(best ? [best] : [])];
  return drawing(size, `Search for ${search.modelName}`, summary, [
    text(`Search for ${shorten(search.modelName, longestName)}`, 16, 28, { 'font-size': 17, 'font-weight': 600 }),
    text(summary, 16, 48, { fill: palette.faintInk }),
    drawLegend(),
    ...axes.lossTicks.map((tick) => drawLossTick(axes.y(tick), String(tick))),
    ...axes.epochTicks.map((epochs) => drawEpochTick(axes.x(epochs), epochs)),
    text('epochs', (frame.left + frame.right) / 2, frame.bottom + 38, {
      fill: palette.faintInk,
      'text-anchor': 'middle',
    }),
    text('validation loss', 0, 0, {
      fill: palette.faintInk,
      'text-anchor': 'middle',
      transform: `translate(20 ${(frame.top + frame.bottom) / 2}) rotate(-90)`,
    }),
    ...ordered.map((trial) => drawTrial(trial, trial === best, axes)),
  ]);
}

function isGrey({ status }: Pick<ShownTrial, 'status'>): boolean {
  return status === 'stopped' || status === 'failed';
}

function planAxes({ trials, rungEpochs }: { trials: readonly ShownTrial[]; rungEpochs: readonly number[] }): Axes {
  const points = trials.flatMap(({ rungs }) => rungs);
  const losses = points.map(({ loss }) => loss).sort((a, b) => a - b);
  const highest = losses.at(-1) ?? 1;
  // One trial with a huge loss must not flatten all others.
  const usual = losses[Math.floor(0.75 * losses.length)] ?? highest;
  const lossTicks = roundTicks(Math.min(0, ...losses), Math.min(highest, 2 * usual), 6);
  const epochs = [...rungEpochs, ...points.map((point) => point.epochs)];
  const y = scale([lossTicks[0] ?? 0, lossTicks.at(-1) ?? 1], [frame.bottom, frame.top]);
  const x = scale([Math.log(Math.min(...epochs)), Math.log(Math.max(...epochs))], [frame.left + 12, frame.right - 12]);
  return {
    x: (value) => x(Math.log(value)),
    y: (loss) => Math.max(frame.top, y(loss)),
    lossTicks,
    epochTicks: rungEpochs,
  };
}

/** Maps values linearly onto pixels; a single value is centred. */
function scale([low, high]: [number, number], [start, end]: [number, number]): (value: number) => number {
  return (value) => (high === low ? (start + end) / 2 : start + ((value - low) / (high - low)) * (end - start));
}

function drawLegend(): string {
  const entry = (label: string, colour: string, x: number): string =>
    line(x, 24, x + 22, 24, { stroke: colour, 'stroke-width': 3, 'stroke-linecap': 'round' }) + text(label, x + 30, 28);
  return [
    entry('stopped early', palette.axis, 560),
    entry('finished', palette.training, 672),
    entry('best', palette.validation, 796),
  ].join('');
}

function drawLossTick(y: number, label: string): string {
  const stroke = y === frame.bottom ? palette.axis : palette.grid;
  return (
    line(frame.left, y, frame.right, y, { stroke }) +
    text(label, frame.left - 8, y + 4, { 'text-anchor': 'end', fill: palette.faintInk })
  );
}

function drawEpochTick(x: number, epochs: number): string {
  return (
    line(x, frame.top, x, frame.bottom + 5, { stroke: palette.grid }) +
    text(String(epochs), x, frame.bottom + 19, { 'text-anchor': 'middle', fill: palette.faintInk })
  );
}

function drawTrial({ number, status, hyperparameters, rungs }: ShownTrial, isBest: boolean, { x, y }: Axes): string {
  const score = rungs.at(-1);
  if (!score) return '';
  const colour = isBest ? palette.validation : isGrey({ status }) ? palette.axis : palette.training;
  const points = rungs.map(({ epochs, loss }) => ({ cx: x(epochs), cy: y(loss) }));
  const { architecture, learningRate, weightDecay, batchSize } = hyperparameters;
  const tooltip = `trial ${number}: ${architecture}, learning rate ${learningRate}, weight decay ${weightDecay}, batches of ${batchSize}; validation loss ${score.loss.toFixed(4)} after ${score.epochs} epochs`;
  return element(
    'g',
    {},
    [
      element('title', {}, escapeText(tooltip)),
      element('polyline', {
        points: points.map(({ cx, cy }) => `${cx.toFixed(1)},${cy.toFixed(1)}`).join(' '),
        fill: 'none',
        stroke: colour,
        'stroke-width': isBest ? 3 : 1.5,
        'stroke-linejoin': 'round',
      }),
      ...points.map((at) => element('circle', { ...at, r: isBest ? 5 : 3, fill: colour })),
    ].join(''),
  );
}
