import { drawing, element, escapeText, palette, shorten, text } from './svg.js';

interface Layout {
  labels: readonly string[];
  cell: number;
  /** Room for the labels of the rows and of the columns. */
  left: number;
  top: number;
  /** Labels of narrow columns are rotated. */
  upright: boolean;
}

const longestLabel = 18;
const characterWidth = 7;

/** Counts of images by true class (rows) and predicted class (columns), as SVG text; darker is a larger share of the row. */
export function drawConfusionMatrix(matrix: readonly (readonly number[])[], labels: readonly string[]): string {
  const layout = planLayout(labels);
  const side = layout.cell * labels.length;
  const size = { width: Math.max(layout.left + side + 24, 320), height: layout.top + side + 24 };
  const total = sum(matrix.map(sum));
  const right = sum(matrix.map((row, label) => row[label] ?? 0));
  const share = total === 0 ? '' : ` (${((100 * right) / total).toFixed(1)} %)`;
  const summary = `${right} of ${total} images right${share}`;
  return drawing(size, 'Confusion matrix', `${summary}; ${describe(matrix, labels)}`, [
    text('Confusion matrix', 16, 28, { 'font-size': 17, 'font-weight': 600 }),
    text(summary, 16, 48, { fill: palette.faintInk }),
    text('predicted class', layout.left + side / 2, 78, { fill: palette.faintInk, 'text-anchor': 'middle' }),
    text('true class', 0, 0, {
      fill: palette.faintInk,
      'text-anchor': 'middle',
      transform: `translate(24 ${layout.top + side / 2}) rotate(-90)`,
    }),
    ...labels.map((label, index) => drawLabels(layout, label, index)),
    ...matrix.flatMap((row, truth) =>
      row.map((count, predicted) => drawCell(layout, count, sum(row), truth, predicted)),
    ),
    element('rect', { x: layout.left, y: layout.top, width: side, height: side, fill: 'none', stroke: palette.axis }),
  ]);
}

function planLayout(labels: readonly string[]): Layout {
  const cell = Math.min(120, Math.max(16, Math.floor(560 / labels.length)));
  const widest = Math.max(...labels.map((label) => Array.from(shorten(label, longestLabel)).length)) * characterWidth;
  const upright = widest > cell - 8;
  return { labels, cell, left: 52 + widest, top: upright ? 100 + widest : 112, upright };
}

function drawLabels({ cell, left, top, upright }: Layout, label: string, index: number): string {
  const middle = index * cell + cell / 2;
  const shown = shorten(label, longestLabel);
  const tooltip = element('title', {}, escapeText(label));
  const row = text(shown, left - 10, top + middle + 4, { 'text-anchor': 'end' });
  const column = upright
    ? text(shown, 0, 0, { transform: `translate(${left + middle + 4} ${top - 10}) rotate(-90)` })
    : text(shown, left + middle, top - 10, { 'text-anchor': 'middle' });
  return element('g', {}, tooltip + row + column);
}

function drawCell(
  { labels, cell, left, top }: Layout,
  count: number,
  ofRow: number,
  truth: number,
  predicted: number,
): string {
  const share = ofRow === 0 ? 0 : count / ofRow;
  const [x, y] = [left + predicted * cell, top + truth * cell];
  const ink = share > 0.55 ? '#ffffff' : palette.ink;
  const tooltip = `${labels[truth] ?? ''} seen as ${labels[predicted] ?? ''}: ${count} of ${ofRow}`;
  const parts = [
    element('title', {}, escapeText(tooltip)),
    element('rect', {
      x,
      y,
      width: cell,
      height: cell,
      fill: shade(share, truth === predicted),
      stroke: palette.paper,
    }),
  ];
  const middle = { 'text-anchor': 'middle', fill: ink };
  if (cell >= 56) {
    parts.push(text(String(count), x + cell / 2, y + cell / 2 + 2, { ...middle, 'font-size': 18, 'font-weight': 600 }));
    parts.push(text(`${(100 * share).toFixed(1)} %`, x + cell / 2, y + cell / 2 + 20, { ...middle, 'font-size': 11 }));
  } else if (cell >= 22 && count > 0) {
    parts.push(text(String(count), x + cell / 2, y + cell / 2 + 4, { ...middle, 'font-size': 11 }));
  }
  return element('g', {}, parts.join(''));
}

/** From almost white to deep blue where the answer is right, to deep orange where it is wrong. */
function shade(share: number, right: boolean): string {
  const [pale, deep] = right
    ? [
        [240, 246, 252],
        [3, 82, 141],
      ]
    : [
        [252, 246, 240],
        [180, 60, 10],
      ];
  const mixed = pale.map((from, channel) => Math.round(from + share * ((deep[channel] ?? from) - from)));
  return `rgb(${mixed.join(',')})`;
}

/**
 * The confusions as text for screen readers; of many classes only their number, since thousands of cells are too many
 * to read out.
 */
function describe(matrix: readonly (readonly number[])[], labels: readonly string[]): string {
  if (labels.length > 6) return `${labels.length} classes`;
  const cells = matrix.flatMap((row, truth) =>
    row.map((count, predicted) => `${count} ${labels[truth] ?? ''} seen as ${labels[predicted] ?? ''}`),
  );
  return cells.join(', ');
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
