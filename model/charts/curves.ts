import type { EpochMetrics } from '../../contracts/training/training.js';
import { drawing, element, line, palette, text } from './svg.js';
import { roundTicks, wholeTicks } from './ticks.js';

interface Curve {
  name: string;
  values: readonly number[];
  colour: string;
}

interface Panel {
  title: string;
  curves: readonly Curve[];
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

const height = 380;
const panelWidth = 440;

function frameOf(panel: number): Frame {
  const left = 62 + panel * panelWidth;
  return { left, right: left + 362, top: 84, bottom: 326 };
}

/**
 * Loss and accuracy by epoch, training beside validation, then precision, recall and F1 of the validation split, with the epoch
 * whose weights are used, as SVG text.
 */
export function drawCurves(epochs: readonly EpochMetrics[], bestEpoch: number): string {
  const numbers = epochs.map(({ epoch }) => epoch);
  const panels = [lossPanel(epochs), accuracyPanel(epochs), ...averagesPanel(epochs)];
  const best = epochs.find(({ epoch }) => epoch === bestEpoch);
  const kept = best ? describeBest(best) : 'no epoch finished';
  const size = { width: panels.length * panelWidth, height };
  return drawing(size, 'Training curves', `${epochs.length} epochs; ${kept}`, [
    text('Training curves', 16, 28, { 'font-size': 17, 'font-weight': 600 }),
    text(kept, 16, 48, { fill: palette.faintInk }),
    drawLegend(size.width),
    ...panels.map((panel, at) => drawPanel(panel, frameOf(at), numbers, bestEpoch)),
  ]);
}

function lossPanel(epochs: readonly EpochMetrics[]): Panel {
  return {
    title: 'Loss',
    curves: [
      { name: 'training', values: epochs.map(({ trainLoss }) => trainLoss), colour: palette.training },
      { name: 'validation', values: epochs.map(({ validationLoss }) => validationLoss), colour: palette.validation },
    ],
    atLeast: [0],
    write: (value) => String(value),
  };
}

function accuracyPanel(epochs: readonly EpochMetrics[]): Panel {
  const validation = epochs.map(({ validationAccuracy }) => validationAccuracy);
  return {
    title: 'Accuracy',
    curves: [
      { name: 'training', values: epochs.map(({ trainAccuracy }) => trainAccuracy), colour: palette.training },
      { name: 'validation', values: validation, colour: palette.validation },
    ],
    atLeast: [1],
    write: percent,
  };
}

/** None for runs of earlier releases, which did not record them. */
function averagesPanel(epochs: readonly EpochMetrics[]): Panel[] {
  const curves = [
    { name: 'precision', of: (epoch: EpochMetrics) => epoch.validationPrecision, colour: palette.precision },
    { name: 'recall', of: (epoch: EpochMetrics) => epoch.validationRecall, colour: palette.recall },
    { name: 'F1', of: (epoch: EpochMetrics) => epoch.validationF1, colour: palette.f1 },
  ].map(({ of, ...curve }) => ({ ...curve, values: epochs.map((epoch) => of(epoch) ?? NaN) }));
  if (!curves.some(({ values }) => values.some(Number.isFinite))) return [];
  return [{ title: 'Validation', curves, atLeast: [1], write: percent }];
}

function describeBest({ epoch, validationLoss, validationAccuracy, validationF1 }: EpochMetrics): string {
  const f1 = validationF1 === undefined ? '' : `, F1 ${percent(validationF1)}`;
  return `best epoch ${epoch}: validation loss ${validationLoss.toFixed(3)}, accuracy ${(100 * validationAccuracy).toFixed(1)} %${f1}`;
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(1))} %`;
}

function drawLegend(width: number): string {
  return [
    drawKey('training', palette.training, width - 284, 24),
    drawKey('validation', palette.validation, width - 192, 24),
    line(width - 85, 16, width - 85, 32, { stroke: palette.ink, 'stroke-dasharray': '4 3' }),
    text('best epoch', width - 77, 28),
  ].join('');
}

function drawKey(label: string, colour: string, x: number, y: number): string {
  const stroke = { stroke: colour, 'stroke-width': 3, 'stroke-linecap': 'round' };
  return line(x, y, x + 22, y, stroke) + text(label, x + 30, y + 4);
}

/** The legend of the chart names the curves of two; a panel with other curves names its own. */
function drawKeys({ curves }: Panel, frame: Frame): string {
  if (curves.length === 2) return '';
  const keyWidth = 92;
  const start = frame.right - curves.length * keyWidth + 8;
  return curves.map(({ name, colour }, at) => drawKey(name, colour, start + at * keyWidth, frame.top - 16)).join('');
}

function drawPanel(panel: Panel, frame: Frame, epochs: readonly number[], bestEpoch: number): string {
  const values = [...panel.curves.flatMap((curve) => curve.values), ...panel.atLeast].filter(Number.isFinite);
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
      drawKeys(panel, frame),
      ...panel.curves.map(({ values: points, colour }) => drawCurve(epochs, points, x, y, colour)),
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
