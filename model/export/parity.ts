import { InferenceSession, Tensor } from 'onnxruntime-node';
import { join } from 'node:path';
import { bundleFiles, onnxNames } from '../../contracts/registry/bundle.js';
import { PerennialError } from '../../contracts/errors.js';
import { inputSize } from '../../contracts/training/training.js';
import { largestDifference, parityTolerance } from './difference.js';
import type { PredictTfjs } from './tfjs-files.js';

/** Packaging shares the machine with processes that predict: more threads would spin while they wait for each other. */
export const oneThread: InferenceSession.SessionOptions = { intraOpNumThreads: 1 };

export interface ParitySample {
  /** RGB 0–255, image after image. */
  pixels: Uint8Array;
  count: number;
  /** Features used in training or evaluation, row by row, of the first images of the sample. */
  knownFeatures: readonly Float32Array[];
}

/**
 * Runs both models of a bundle on the sample and returns the largest difference of a probability. Also compares their
 * features, and those of ONNX Runtime with the ones the classifier was trained on or measured with.
 * @param predictTfjs the bundle's loaded layers model
 * @throws PerennialError parity_failed when they differ by more than 1e-3
 */
export async function checkParity(folder: string, sample: ParitySample, predictTfjs: PredictTfjs): Promise<number> {
  const expected = predictTfjs(sample.pixels, sample.count);
  const { probabilities, features } = await runOnnxModel(join(folder, bundleFiles.onnx), sample.pixels, sample.count);
  const difference = largestDifference(expected.probabilities, probabilities);
  if (!(difference <= parityTolerance)) throw parityFailed(`probabilities by up to ${difference.toExponential(2)}`);
  const width = features.length / sample.count;
  const rowOf = (values: Float32Array, row: number): Float32Array => values.subarray(row * width, (row + 1) * width);
  for (let image = 0; image < sample.count; image += 1) {
    for (const known of [rowOf(expected.features, image), sample.knownFeatures[image]]) {
      const error = known ? relativeError(known, rowOf(features, image)) : 0;
      if (!(error <= parityTolerance))
        throw parityFailed(`features of image ${image + 1} by ${error.toExponential(2)} of their length`);
    }
  }
  return difference;
}

/** Probabilities and features that ONNX Runtime gives for `count` images of RGB 0–255 pixels, image after image. */
export async function runOnnxModel(
  path: string,
  pixels: Uint8Array,
  count: number,
): Promise<{ probabilities: Float32Array; features: Float32Array }> {
  const session = await InferenceSession.create(path, oneThread);
  try {
    const image = new Tensor('uint8', pixels, [count, inputSize, inputSize, 3]);
    const outputs = await session.run({ [onnxNames.image]: image }, [onnxNames.probabilities, onnxNames.features]);
    return {
      probabilities: floatsOf(outputs, onnxNames.probabilities),
      features: floatsOf(outputs, onnxNames.features),
    };
  } finally {
    await session.release();
  }
}

/** The numbers of an output. Throws when there is no such output of floats. */
export function floatsOf(outputs: InferenceSession.OnnxValueMapType, name: string): Float32Array {
  const output = outputs[name];
  if (!(output instanceof Tensor) || !(output.data instanceof Float32Array)) {
    throw new Error(`The ONNX model gave no float output ${name}.`);
  }
  return output.data;
}

/** Length of the difference of two vectors, relative to that of the first. Equal vectors have none, also without a length. */
export function relativeError(expected: Float32Array, found: Float32Array): number {
  const square = (total: number, value: number): number => total + value * value;
  const size = Math.sqrt(expected.reduce(square, 0));
  const difference = expected.map((value, index) => value - (found[index] ?? NaN));
  const length = Math.sqrt(difference.reduce(square, 0));
  return length === 0 ? 0 : length / size;
}

function parityFailed(what: string): PerennialError {
  return new PerennialError(
    'parity_failed',
    `TF.js and ONNX Runtime differ in the ${what}; the limit is ${parityTolerance}. The bundle was not completed. Train again; if it happens again, report a bug.`,
  );
}
