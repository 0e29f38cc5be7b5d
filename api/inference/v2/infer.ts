import { PerennialError } from '../../../contracts/errors.js';
import { predictEach, requestOfFile } from '../predict-each.js';
import type { Predicted, PredictionRequest, Predictor } from '../predictor.js';
import { inputPointer } from './tensor-fault.js';
import type { InferInput } from './input.js';

/** Predicts the images of a request, in order. Throws what `Predictor` throws; the error of a file names its position. */
export async function predictInput(
  predictor: Pick<Predictor, 'image' | 'pixels'>,
  input: InferInput,
  request: PredictionRequest,
): Promise<Predicted[]> {
  if (input.kind === 'pixels') return predictor.pixels(input.pixels, input.count, request);
  for (;;) {
    const predicted = await predictFiles(predictor, input.files, request);
    // The version changed during the request: all rows of an answer must be of one version, because classes may differ.
    if (new Set(predicted.map(({ served }) => served.version.version)).size <= 1) return predicted;
  }
}

function predictFiles(
  predictor: Pick<Predictor, 'image' | 'pixels'>,
  files: readonly Uint8Array[],
  request: PredictionRequest,
): Promise<Predicted[]> {
  return predictEach(files, async (file, index) => {
    try {
      return await predictor.image(file, requestOfFile(request, files.length));
    } catch (error) {
      throw pointingAt(error, index);
    }
  });
}

function pointingAt(error: unknown, index: number): unknown {
  if (!(error instanceof PerennialError) || !aboutFiles.has(error.code)) return error;
  const pointer = `${inputPointer}/data/${index}`;
  const errors = [{ pointer, detail: error.message }];
  return new PerennialError(error.code, `${pointer}: ${error.message}`, { details: { errors }, cause: error });
}

const aboutFiles = new Set<PerennialError['code']>([
  'unsupported_type',
  'undecodable_image',
  'image_too_large',
  'image_too_small',
  'too_large',
]);
