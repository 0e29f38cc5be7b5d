import { InferenceSession, Tensor } from 'onnxruntime-node';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { messageOf } from '../../contracts/errors.js';
import { inputSize } from '../../contracts/training/training.js';
import { pixelBytes } from '../images/decode.js';
import { refusal } from './refusal.js';
import { wrongClassCount } from './graph-signature.js';

/** Images per batch. */
const batchSize = 4;
/** How far the sum of probabilities may be from one. */
const sumTolerance = 1e-3;
/** Largest difference of an image's probabilities between a batch and the image alone. */
const batchTolerance = 1e-3;

/**
 * Runs a wrapped graph as the serving engine does, on `count` images of RGB 0–255 pixels, alone and in batches. Returns
 * its probabilities, one row per image.
 * @throws PerennialError bundle_invalid when it cannot be loaded or run, or when its outputs are not probabilities of
 * `classes` classes
 */
export async function tryOnnx(
  bytes: Uint8Array,
  pixels: Uint8Array,
  count: number,
  classes: number,
): Promise<Float32Array> {
  const session = await load(bytes);
  try {
    const probabilities = new Float32Array(count * classes);
    for (let from = 0; from < count; from += batchSize) {
      const size = Math.min(batchSize, count - from);
      const batch = pixels.subarray(from * pixelBytes, (from + size) * pixelBytes);
      probabilities.set(await run(session, batch, size, classes), from * classes);
    }
    checkRows(probabilities, classes);
    const alone = await run(session, pixels.subarray(0, pixelBytes), 1, classes);
    checkIndependence(alone, probabilities.subarray(0, classes));
    return probabilities;
  } finally {
    await session.release();
  }
}

async function load(bytes: Uint8Array): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(bytes, { executionProviders: ['cpu'], logSeverityLevel: 4 });
  } catch (error) {
    throw refusal(`ONNX Runtime cannot load the model (${messageOf(error)}).`, 'Export it again.', error);
  }
}

async function run(
  session: InferenceSession,
  pixels: Uint8Array,
  count: number,
  classes: number,
): Promise<Float32Array> {
  const image = new Tensor('uint8', pixels, [count, inputSize, inputSize, 3]);
  const { dims, data } = await compute(session, image, count);
  if (!(data instanceof Float32Array) || dims.length !== 2 || dims[0] !== count) {
    throw refusal(
      `The output is [${dims.join(',')}] for ${count} images.`,
      `Export the model with a float32 output [N,${classes}] and a batch of any size.`,
    );
  }
  if (data.length !== count * classes) throw wrongClassCount(data.length / count, classes);
  return data;
}

async function compute(session: InferenceSession, image: Tensor, count: number): Promise<Tensor> {
  try {
    const { [onnxNames.probabilities]: output } = await session.run({ [onnxNames.image]: image }, [
      onnxNames.probabilities,
    ]);
    if (output instanceof Tensor) return output;
    throw new Error('its output is not a tensor');
  } catch (error) {
    throw refusal(
      `ONNX Runtime cannot run the model on ${count === 1 ? 'an image' : `${count} images`} of ${inputSize}×${inputSize} pixels (${messageOf(error)}).`,
      'Export it for such images, with a batch of any size.',
      error,
    );
  }
}

function checkRows(probabilities: Float32Array, classes: number): void {
  for (let from = 0; from < probabilities.length; from += classes) {
    const row = probabilities.subarray(from, from + classes);
    if (row.some((value) => !Number.isFinite(value))) {
      throw refusal(
        'The model computes NaN or infinity for an image.',
        'Look for NaN in its weights and train it again.',
      );
    }
    const sum = row.reduce((total, value) => total + value, 0);
    if (row.some((value) => value < 0) || Math.abs(sum - 1) > sumTolerance) {
      throw refusal(
        `The model's outputs are not probabilities: for one image they range from ${Math.min(...row).toPrecision(3)} to ${Math.max(...row).toPrecision(3)} and sum to ${sum.toPrecision(4)}.`,
        'If they are logits, send output=logits, and a softmax is added, or a sigmoid after a single output.',
      );
    }
  }
}

function checkIndependence(alone: Float32Array, inBatch: Float32Array): void {
  const difference = Math.max(...alone.map((value, index) => Math.abs(value - (inBatch[index] ?? 0))));
  if (difference <= batchTolerance) return;
  throw refusal(
    `The probabilities of an image differ by ${difference.toPrecision(3)} between a batch and the image alone.`,
    'Export the model in inference mode (model.eval()).',
  );
}
