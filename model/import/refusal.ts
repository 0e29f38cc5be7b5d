import { PerennialError } from '../../contracts/errors.js';

/** Why an uploaded model is not taken in, and what its owner can do about it. */
export function refusal(problem: string, remedy: string, cause?: unknown): PerennialError {
  return new PerennialError('bundle_invalid', `${legible(problem)} ${remedy}`, cause === undefined ? {} : { cause });
}

const longestProblem = 600;

/** What a file calls its parts may be of any length and hold anything, also what no database takes. */
function legible(text: string): string {
  const plain = text.replace(/[\p{Cc}\p{Cs}]+/gu, ' ');
  return plain.length > longestProblem ? `${plain.slice(0, longestProblem)}…` : plain;
}

/** A refusal of something in a TF.js model that its export to ONNX, made where the model was, would not have. */
export function layersRefusal(problem: string, cause?: unknown): PerennialError {
  return refusal(problem, 'Convert the model to ONNX where it was made and upload that.', cause);
}
