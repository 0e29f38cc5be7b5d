import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { readJson } from '../../platform/validation/json-file.js';
import { backboneDigest } from './backbone-digest.js';
import { decodeHalf } from './half-precision.js';
import type { Operation, Weights, WeightTensor } from './network.js';
import { weightsFile } from './weights-folder.js';

const stageSchema = z.object({
  repeats: z.number().int(),
  stride: z.number().int(),
  expand: z.number().int(),
  in: z.number().int(),
  out: z.number().int(),
});

const layoutSchema = z.object({
  name: z.string(),
  bytes: z.number().int(),
  stages: z.array(stageSchema),
  stem: z.object({ stride: z.number().int() }),
  tensors: z.array(z.object({ name: z.string(), shape: z.array(z.number().int()), offset: z.number().int() })),
});
type Layout = z.infer<typeof layoutSchema>;

/** A pretrained feature extractor: image in, `backboneFeatures` numbers out. */
export interface Backbone {
  name: string;
  operations: Operation[];
  /** First operation of each block; fine-tuning starts at one of them. */
  blockStarts: string[];
  weights: Weights;
}

/**
 * Loads EfficientNet-Lite0 from the files in the repository.
 * @throws PerennialError bundle_invalid when the weights differ from the published ones
 */
export async function loadBackbone(): Promise<Backbone> {
  const [json, bytes] = await Promise.all([
    readFile(weightsFile('efficientnet-lite0.json'), 'utf8'),
    readFile(weightsFile('efficientnet-lite0.f16.bin')),
  ]);
  verifyWeights(bytes);
  const layout = readJson(layoutSchema, json);
  const numbers = decodeHalf(bytes);
  const weights = new Map<string, WeightTensor>();
  for (const { name, shape, offset } of layout.tensors) {
    const size = shape.reduce((product, side) => product * side, 1);
    weights.set(name, { shape, values: numbers.subarray(offset / 2, offset / 2 + size) });
  }
  return { name: layout.name, ...describeBackbone(layout), weights };
}

/** Throws bundle_invalid unless the bytes are those of the published weights. */
export function verifyWeights(bytes: Uint8Array): void {
  const found = hash('sha256', bytes);
  if (found === backboneDigest) return;
  throw new PerennialError(
    'bundle_invalid',
    `The backbone's weights have SHA-256 ${found} instead of ${backboneDigest}: the file was damaged or replaced. ` +
      'Restore model/architectures/weights from the repository.',
  );
}

/** Inverted residual blocks between a strided stem and a wide head, then global average pooling. */
function describeBackbone(layout: Layout): { operations: Operation[]; blockStarts: string[] } {
  const operations: Operation[] = [
    { kind: 'convolution', name: 'stem', stride: layout.stem.stride, activation: 'relu6' },
  ];
  const blockStarts: string[] = [];
  let input = 'stem';
  for (const stage of layout.stages) {
    for (let repeat = 0; repeat < stage.repeats; repeat++) {
      const isFirst = repeat === 0;
      const block = describeBlock(`block${blockStarts.length}`, input, {
        stride: isFirst ? stage.stride : 1,
        expands: stage.expand > 1,
        isResidual: !isFirst || (stage.stride === 1 && stage.in === stage.out),
      });
      operations.push(...block);
      blockStarts.push(block[0]?.name ?? input);
      input = block.at(-1)?.name ?? input;
    }
  }
  operations.push(
    { kind: 'convolution', name: 'head', stride: 1, activation: 'relu6' },
    { kind: 'average', name: 'features' },
  );
  return { operations, blockStarts };
}

function describeBlock(
  name: string,
  input: string,
  { stride, expands, isResidual }: { stride: number; expands: boolean; isResidual: boolean },
): Operation[] {
  const block: Operation[] = [
    { kind: 'depthwise', name: `${name}/depthwise`, stride, activation: 'relu6' },
    { kind: 'convolution', name: `${name}/project`, stride: 1, activation: 'none' },
  ];
  if (expands) block.unshift({ kind: 'convolution', name: `${name}/expand`, stride: 1, activation: 'relu6' });
  if (isResidual) block.push({ kind: 'add', name: `${name}/add`, other: input });
  return block;
}
