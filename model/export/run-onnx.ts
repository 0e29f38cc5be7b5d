import { InferenceSession, Tensor } from 'onnxruntime-node';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import { floatsOf, oneThread } from './parity.js';

/** Outputs of a network, one row per image. */
export interface OnnxAnswers {
  probabilities: number[][];
  features: Float32Array[];
}

/** Loads an ONNX model, passes `work` a function that predicts `count` images at a time, and releases the model. */
export async function withOnnx<T>(
  model: Uint8Array,
  work: (predict: (pixels: Uint8Array, count: number) => Promise<OnnxAnswers>) => Promise<T>,
): Promise<T> {
  const session = await InferenceSession.create(model, oneThread);
  try {
    return await work(async (pixels, count) => {
      const image = new Tensor('uint8', pixels, [count, inputSize, inputSize, 3]);
      const outputs = await session.run({ [onnxNames.image]: image }, [onnxNames.probabilities, onnxNames.features]);
      return {
        probabilities: splitRows(floatsOf(outputs, onnxNames.probabilities), count).map((row) => [...row]),
        features: splitRows(floatsOf(outputs, onnxNames.features), count),
      };
    });
  } finally {
    await session.release();
  }
}

function splitRows(values: Float32Array, rows: number): Float32Array[] {
  const width = values.length / rows;
  return Array.from({ length: rows }, (_, row) => values.slice(row * width, (row + 1) * width));
}
