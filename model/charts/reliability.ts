import type { Calibration, Reliability } from '../../contracts/registry/bundle.js';
import { drawing, element, line, palette, text } from './svg.js';

interface Frame {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

type Bin = Reliability['bins'][number];

const size = { width: 880, height: 404 };
const frames = [
  { left: 62, right: 424, top: 92, bottom: 332 },
  { left: 502, right: 864, top: 92, bottom: 332 },
] as const;
const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1];

/**
 * Reliability diagrams of the test and the validation split, as SVG text: accuracy by confidence. The bars of a
 * calibrated model end on the diagonal.
 */
export function drawReliability({ test, validation, uncalibratedTest, temperature }: Calibration): string {
  const error = `test calibration error ${test.calibrationError.toFixed(3)}`;
  const before = `${uncalibratedTest.calibrationError.toFixed(3)} before logits were divided by ${temperature.toFixed(3)}`;
  const summary = temperature === 1 ? `${error}; logits are not scaled` : `${error}, ${before}`;
  return drawing(size, 'Reliability diagram', `${summary}; ${describe(test)}`, [
    text('Reliability', 16, 28, { 'font-size': 17, 'font-weight': 600 }),
    text(summary, 16, 48, { fill: palette.faintInk }),
    drawLegend(),
    drawPanel('Test', test, frames[0], palette.training),
    drawPanel('Validation', validation, frames[1], palette.validation),
  ]);
}

function drawLegend(): string {
  return (
    line(648, 24, 670, 24, { stroke: palette.ink, 'stroke-dasharray': '4 3' }) + text('perfect calibration', 678, 28)
  );
}

function drawPanel(title: string, reliability: Reliability, frame: Frame, colour: string): string {
  const across = (value: number): number => frame.left + value * (frame.right - frame.left);
  const up = (value: number): number => frame.bottom - value * (frame.bottom - frame.top);
  const { images, calibrationError } = reliability;
  return element(
    'g',
    {},
    [
      text(`${title}: ${images} images, error ${calibrationError.toFixed(3)}`, frame.left, frame.top - 14, {
        'font-size': 13,
        'font-weight': 600,
      }),
      ...ticks.map((tick) => drawTick(frame, tick, across, up)),
      ...reliability.bins.map((bin) => drawBin(bin, images, { across, up }, colour)),
      line(across(0), up(0), across(1), up(1), { stroke: palette.ink, 'stroke-dasharray': '4 3' }),
      ...reliability.bins.map((bin) => drawCount(bin, across, frame.bottom + 38)),
      text('images', frame.left - 8, frame.bottom + 38, {
        'text-anchor': 'end',
        fill: palette.faintInk,
        'font-size': 10,
      }),
      text('confidence', (frame.left + frame.right) / 2, frame.bottom + 60, {
        fill: palette.faintInk,
        'text-anchor': 'middle',
      }),
      text('right answers', 0, 0, {
        fill: palette.faintInk,
        'text-anchor': 'middle',
        transform: `translate(${frame.left - 44} ${(frame.top + frame.bottom) / 2}) rotate(-90)`,
      }),
    ].join('\n'),
  );
}

type Scale = (value: number) => number;

function drawTick(frame: Frame, tick: number, across: Scale, up: Scale): string {
  const label = tick.toFixed(1);
  return [
    line(frame.left, up(tick), frame.right, up(tick), { stroke: tick === 0 ? palette.axis : palette.grid }),
    text(label, frame.left - 8, up(tick) + 4, { 'text-anchor': 'end', fill: palette.faintInk }),
    line(across(tick), frame.bottom, across(tick), frame.bottom + 5, { stroke: palette.axis }),
    text(label, across(tick), frame.bottom + 19, { 'text-anchor': 'middle', fill: palette.faintInk }),
  ].join('');
}

/** A bar as high as the bin's accuracy, paler with fewer images, and a dot at its mean confidence. */
function drawBin(bin: Bin, of: number, { across, up }: Record<'across' | 'up', Scale>, colour: string): string {
  const { from, to, images, accuracy, meanConfidence } = bin;
  if (accuracy === null || meanConfidence === null) return '';
  const [x, width] = [across(from) + 1, across(to) - across(from) - 2];
  const tooltip = `confidence ${meanConfidence.toFixed(3)} on average, ${(100 * accuracy).toFixed(1)} % of ${images} right`;
  // A bin with accuracy 0 would have no visible bar: draw a thin line.
  const bar = { x, y: Math.min(up(accuracy), up(0) - 2), width, height: Math.max(up(0) - up(accuracy), 2) };
  return element(
    'g',
    {},
    element('title', {}, tooltip) +
      element('rect', { ...bar, fill: colour, 'fill-opacity': 0.2 + 0.65 * Math.sqrt(images / of) }) +
      element('circle', {
        cx: across(meanConfidence),
        cy: up(accuracy),
        r: 3,
        fill: palette.paper,
        stroke: palette.ink,
      }),
  );
}

function drawCount({ from, to, images }: Bin, across: Scale, y: number): string {
  if (images === 0) return '';
  const middle = (across(from) + across(to)) / 2;
  return text(String(images), middle, y, { 'text-anchor': 'middle', 'font-size': 10 });
}

function describe({ bins }: Reliability): string {
  return bins
    .filter(({ images }) => images > 0)
    .map(({ images, accuracy, meanConfidence }) => {
      return `${images} test images of confidence ${(meanConfidence ?? 0).toFixed(2)}: ${(100 * (accuracy ?? 0)).toFixed(0)} % right`;
    })
    .join(', ');
}
