import type { Example, Split } from '../../contracts/datasets/datasets.js';

/** Training images for the ranges and means of activations; twice as many give the same metrics. */
const rangeImages = 32;
/** Held-out images that a quantized network is judged by. */
const judgedImages = 200;

/** Images used by quantization, by SHA-256. */
export interface QuantizationSample {
  ranges: string[];
  judged: string[];
}

/** Chooses images for quantization, round-robin over the classes; deterministic for the same examples. */
export function chooseQuantizationSample(examples: readonly Example[]): QuantizationSample {
  return {
    ranges: takeRoundRobin(examples, 'train', rangeImages),
    judged: takeRoundRobin(examples, 'validation', judgedImages),
  };
}

function takeRoundRobin(examples: readonly Example[], split: Split, count: number): string[] {
  const byLabel = new Map<string, string[]>();
  for (const { label, sha256 } of examples.filter((example) => example.side === split)) {
    byLabel.set(label, [...(byLabel.get(label) ?? []), sha256]);
  }
  const queues = [...byLabel].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sha256s]) => sha256s.sort());
  const longest = Math.max(0, ...queues.map((queue) => queue.length));
  return Array.from({ length: longest }, (_, round) => queues.flatMap((queue) => queue.slice(round, round + 1)))
    .flat()
    .slice(0, count);
}
