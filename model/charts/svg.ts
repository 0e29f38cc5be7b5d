/** Colours of all charts, distinguishable with any colour vision. */
export const palette = {
  paper: '#ffffff',
  ink: '#1f2933',
  faintInk: '#52606d',
  grid: '#e4e7eb',
  axis: '#9aa5b1',
  training: '#0072b2',
  validation: '#c2410c',
  precision: '#00855f',
  recall: '#a3488a',
  f1: '#8a6100',
} as const;

type Attributes = Readonly<Record<string, string | number>>;

/** An element; numbers are written with at most two decimals. `content` is markup, not text. */
export function element(name: string, attributes: Attributes, content = ''): string {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeText(format(value))}"`);
  return `<${name}${written.join('')}>${content}</${name}>`;
}

export function text(content: string, x: number, y: number, attributes: Attributes = {}): string {
  return element('text', { x, y, fill: palette.ink, ...attributes }, escapeText(content));
}

export function line(x1: number, y1: number, x2: number, y2: number, attributes: Attributes): string {
  return element('line', { x1, y1, x2, y2, ...attributes });
}

/** A standalone SVG document with a title and a description for screen readers. */
export function drawing(
  size: { width: number; height: number },
  title: string,
  description: string,
  parts: readonly string[],
): string {
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    width: size.width,
    height: size.height,
    viewBox: `0 0 ${size.width} ${size.height}`,
    role: 'img',
    'aria-labelledby': 'chart-title chart-description',
    'font-family': 'system-ui, "Segoe UI", "DejaVu Sans", sans-serif',
    'font-size': 12,
  };
  const named = [
    element('title', { id: 'chart-title' }, escapeText(title)),
    element('desc', { id: 'chart-description' }, escapeText(description)),
    element('rect', { width: size.width, height: size.height, fill: palette.paper }),
  ];
  return element('svg', attributes, [...named, ...parts].join('\n'));
}

/** Escapes text for XML and replaces control characters that XML forbids. */
export function escapeText(raw: string): string {
  return raw
    .replaceAll(/[^\P{Cc}\t\n]|\p{Cs}|[\ufffe\uffff]/gu, '�')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** Text truncated to `length` characters as people see them, with an ellipsis as the last one. */
export function shorten(raw: string, length: number): string {
  const characters = Array.from(new Intl.Segmenter().segment(raw), ({ segment }) => segment);
  return characters.length <= length ? raw : `${characters.slice(0, length - 1).join('')}…`;
}

function format(value: string | number): string {
  return typeof value === 'number' ? String(Number(value.toFixed(2))) : value;
}
