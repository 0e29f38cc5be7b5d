import { createHash, hash } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { z } from 'zod';
import { PerennialError, messageOf } from '../../contracts/errors.js';
import { readJson } from '../../platform/validation/json-file.js';
import type { Weights, WeightTensor } from '../architectures/network.js';
import type { AdamState } from './adam.js';

/** Everything needed to resume a training after an epoch exactly where it stopped. */
export interface Checkpoint {
  /** Digest of hyperparameters, labels and examples. A checkpoint fits no other training. */
  fingerprint: string;
  /** The epoch that has ended, counted from 0. */
  epoch: number;
  isFinished: boolean;
  bestEpoch: number;
  bestLoss: number;
  weights: Weights;
  bestWeights: Weights;
  adam: AdamState;
}

const magic = 'PERENNIAL-CKPT-1';
const prefixBytes = magic.length + 4;
const digestBytes = 32;

const headerSchema = z.object({
  fingerprint: z.string(),
  epoch: z.number().int(),
  isFinished: z.boolean(),
  bestEpoch: z.number().int(),
  bestLoss: z.number(),
  step: z.number().int(),
  tensors: z.array(
    z.object({
      group: z.enum(['weights', 'bestWeights', 'means', 'variances']),
      name: z.string(),
      shape: z.array(z.number().int()),
    }),
  ),
});
type Header = z.infer<typeof headerSchema>;

/**
 * Writes a checkpoint as one file: magic bytes, header length, JSON header, numbers, SHA-256 of all before it. The file
 * gets its name only when it is complete and synced to disk.
 */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const { weights, bestWeights, adam, ...rest } = checkpoint;
  const groups = { weights, bestWeights, means: adam.means, variances: adam.variances };
  const tensors: Header['tensors'] = [];
  const blobs: Buffer[] = [];
  for (const group of headerSchema.shape.tensors.element.shape.group.options) {
    for (const [name, { shape, values }] of groups[group]) {
      tensors.push({ group, name, shape });
      blobs.push(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
    }
  }
  const header: Header = { ...rest, step: adam.step, tensors };
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const body = Buffer.concat([Buffer.from(magic), length, json, ...blobs]);
  await writeDurably(path, [body, hash('sha256', body, 'buffer')]);
}

async function writeDurably(path: string, parts: readonly Buffer[]): Promise<void> {
  const temporaryPath = `${path}.tmp`;
  const file = await open(temporaryPath, 'w');
  try {
    for (const part of parts) await file.writeFile(part);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporaryPath, path);
}

/**
 * Reads a checkpoint.
 * @throws PerennialError checkpoint_invalid when the file is truncated, altered or not a checkpoint
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const file = await readFile(path);
  const body = file.subarray(0, Math.max(0, file.length - digestBytes));
  const digest = hash('sha256', body, 'buffer');
  if (body.subarray(0, magic.length).toString('latin1') !== magic || !digest.equals(file.subarray(body.length))) {
    throw new PerennialError(
      'checkpoint_invalid',
      `${path} is not a complete checkpoint: its SHA-256 does not match its content. Resume from an earlier one, or start without one.`,
    );
  }
  try {
    return decodeBody(body);
  } catch (error) {
    throw new PerennialError('checkpoint_invalid', `${path} cannot be read as a checkpoint: ${messageOf(error)}`);
  }
}

function decodeBody(body: Buffer): Checkpoint {
  const start = prefixBytes + body.readUInt32LE(magic.length);
  const { step, tensors, ...rest } = readJson(headerSchema, body.toString('utf8', prefixBytes, start));
  const groups = {
    weights: new Map<string, WeightTensor>(),
    bestWeights: new Map<string, WeightTensor>(),
    means: new Map<string, WeightTensor>(),
    variances: new Map<string, WeightTensor>(),
  };
  let offset = start;
  for (const { group, name, shape } of tensors) {
    const values = new Float32Array(shape.reduce((product, side) => product * side, 1));
    const bytes = body.subarray(offset, offset + values.byteLength);
    new Uint8Array(values.buffer).set(bytes);
    groups[group].set(name, { shape, values });
    offset += values.byteLength;
  }
  const { weights, bestWeights, means, variances } = groups;
  return { ...rest, weights, bestWeights, adam: { step, means, variances } };
}

/** SHA-256 of weights: of every tensor's name, shape and numbers, in order of names. */
export function weightsDigest(weights: Weights): string {
  const digest = createHash('sha256');
  for (const [name, { shape, values }] of [...weights].sort(([a], [b]) => (a < b ? -1 : 1))) {
    digest.update(`${name} ${shape.join('x')}\n`);
    digest.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return digest.digest('hex');
}
