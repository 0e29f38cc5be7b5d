import type { Example, Split } from '../../contracts/datasets/datasets.js';

/** Training images that ranges and means of activations are taken from; twice as many give the same figures. */
const rangeImages = 32;
/** Held-out images that a quantized network is judged by. */
const judgedImages = 200;

/** The images that quantization looks at, by SHA-256. */
export interface QuantizationSample {
  ranges: string[];
  judged: string[];
}

/** Chooses images for quantization, every class in its turn: always the same for the same examples. */
export function chooseQuantizationSample(examples: readonly Example[]): QuantizationSample {
  return {
    ranges: takeInTurn(examples, 'train', rangeImages),
    judged: takeInTurn(examples, 'validation', judgedImages),
  };
}

function takeInTurn(examples: readonly Example[], side: Split, count: number): string[] {
  const byLabel = new Map<string, string[]>();
  for (const { label, sha256 } of examples.filter((example) => example.side === side)) {
    byLabel.set(label, [...(byLabel.get(label) ?? []), sha256]);
  }
  const queues = [...byLabel].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sha256s]) => sha256s.sort());
  const longest = Math.max(0, ...queues.map((queue) => queue.length));
  return Array.from({ length: longest }, (_, turn) => queues.flatMap((queue) => queue.slice(turn, turn + 1)))
    .flat()
    .slice(0, count);
}
