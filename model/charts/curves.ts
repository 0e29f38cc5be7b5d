import type { EpochMetrics } from '../../contracts/training/training.js';
import { drawing, element, line, palette, text } from './svg.js';
import { roundTicks, wholeTicks } from './ticks.js';

interface Panel {
  title: string;
  training: readonly number[];
  validation: readonly number[];
  /** Values the axis always covers. */
  atLeast: readonly number[];
  write: (value: number) => string;
}

interface Frame {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const size = { width: 880, height: 380 };
const frames = [
  { left: 62, right: 424, top: 84, bottom: 326 },
  { left: 502, right: 864, top: 84, bottom: 326 },
] as const;

/** Loss and accuracy by epoch, training beside validation, with the epoch whose weights are used, as SVG text. */
export function drawCurves(epochs: readonly EpochMetrics[], bestEpoch: number): string {
  const numbers = epochs.map(({ epoch }) => epoch);
  const best = epochs.find(({ epoch }) => epoch === bestEpoch);
  const loss: Panel = {
    title: 'Loss',
    training: epochs.map(({ trainLoss }) => trainLoss),
    validation: epochs.map(({ validationLoss }) => validationLoss),
    atLeast: [0],
    write: (value) => String(value),
  };
  const accuracy: Panel = {
    title: 'Accuracy',
    training: epochs.map(({ trainAccuracy }) => trainAccuracy),
    validation: epochs.map(({ validationAccuracy }) => validationAccuracy),
    atLeast: [1],
    write: (value) => `${Number((100 * value).toFixed(1))} %`,
  };
  const kept = best
    ? `best epoch ${best.epoch}: validation loss ${best.validationLoss.toFixed(3)}, accuracy ${(100 * best.validationAccuracy).toFixed(1)} %`
    : 'no epoch finished';
  return drawing(size, 'Training curves', `${epochs.length} epochs; ${kept}`, [
    text('Training curves', 16, 28, { 'font-size': 17, 'font-weight': 600 }),
    text(kept, 16, 48, { fill: palette.faintInk }),
    drawLegend(),
    drawPanel(loss, frames[0], numbers, bestEpoch),
    drawPanel(accuracy, frames[1], numbers, bestEpoch),
  ]);
}

function drawLegend(): string {
  const entry = (label: string, colour: string, x: number): string =>
    line(x, 24, x + 22, 24, { stroke: colour, 'stroke-width': 3, 'stroke-linecap': 'round' }) + text(label, x + 30, 28);
  return [
    entry('training', palette.training, 596),
    entry('validation', palette.validation, 688),
    line(795, 16, 795, 32, { stroke: palette.ink, 'stroke-dasharray': '4 3' }),
    text('best epoch', 803, 28),
  ].join('');
}

function drawPanel(panel: Panel, frame: Frame, epochs: readonly number[], bestEpoch: number): string {
  const values = [...panel.training, ...panel.validation, ...panel.atLeast].filter(Number.isFinite);
  const ticks = roundTicks(Math.min(...values), Math.max(...values), 6);
  const [first = 0, last = 0] = [epochs[0], epochs.at(-1)];
  const x = scale([first, last], [frame.left + 8, frame.right - 8]);
  const y = scale([ticks[0] ?? 0, ticks.at(-1) ?? 1], [frame.bottom, frame.top]);
  const best = epochs.includes(bestEpoch)
    ? line(x(bestEpoch), frame.top, x(bestEpoch), frame.bottom, { stroke: palette.ink, 'stroke-dasharray': '4 3' })
    : '';
  return element(
    'g',
    {},
    [
      text(panel.title, frame.left, frame.top - 12, { 'font-size': 13, 'font-weight': 600 }),
      ...ticks.map((tick) => drawHorizontal(frame, y(tick), panel.write(tick))),
      ...wholeTicks(first, last, 8).map((epoch) => drawEpochTick(frame, x(epoch), epoch)),
      text('epoch', (frame.left + frame.right) / 2, frame.bottom + 38, {
        fill: palette.faintInk,
        'text-anchor': 'middle',
      }),
      best,
      drawCurve(epochs, panel.training, x, y, palette.training),
      drawCurve(epochs, panel.validation, x, y, palette.validation),
    ].join('\n'),
  );
}

function drawHorizontal(frame: Frame, y: number, label: string): string {
  const stroke = y === frame.bottom ? palette.axis : palette.grid;
  return (
    line(frame.left, y, frame.right, y, { stroke }) +
    text(label, frame.left - 8, y + 4, { 'text-anchor': 'end', fill: palette.faintInk })
  );
}

function drawEpochTick(frame: Frame, x: number, epoch: number): string {
  return (
    line(x, frame.bottom, x, frame.bottom + 5, { stroke: palette.axis }) +
    text(String(epoch), x, frame.bottom + 19, { 'text-anchor': 'middle', fill: palette.faintInk })
  );
}

type Scale = (value: number) => number;

/** Maps values linearly onto pixels; a single value is centred. */
function scale(values: readonly [number, number], pixels: readonly [number, number]): Scale {
  const [low, high] = values;
  const [start, end] = pixels;
  return (value) => (high === low ? (start + end) / 2 : start + ((value - low) / (high - low)) * (end - start));
}

function drawCurve(epochs: readonly number[], values: readonly number[], x: Scale, y: Scale, colour: string): string {
  const points = values.flatMap((value, index) => {
    const epoch = epochs[index];
    return epoch === undefined || !Number.isFinite(value) ? [] : [{ x: x(epoch), y: y(value) }];
  });
  const path = points.map((point) => `${point.x.toFixed(1)},${point.y.toFixed(1)}`).join(' ');
  const curve = element('polyline', {
    points: path,
    fill: 'none',
    stroke: colour,
    'stroke-width': 2,
    'stroke-linejoin': 'round',
  });
  // With many epochs the dots would run into one another and hide the curve.
  const dots =
    points.length > 40 ? [] : points.map(({ x: cx, y: cy }) => element('circle', { cx, cy, r: 2.5, fill: colour }));
  return curve + dots.join('');
}
