import { PerennialError } from '../../contracts/errors.js';

/** Why an uploaded model is not taken in, and what its owner can do about it. */
export function refusal(problem: string, wayOut: string, cause?: unknown): PerennialError {
  return new PerennialError('bundle_invalid', `${problem} ${wayOut}`, cause === undefined ? {} : { cause });
}

/** A refusal of something in a TF.js model that its export to ONNX, made where the model was, would not have. */
export function layersRefusal(problem: string, cause?: unknown): PerennialError {
  return refusal(problem, 'Convert the model to ONNX where it was made and upload that.', cause);
}
