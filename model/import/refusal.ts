import { PerennialError } from '../../contracts/errors.js';

/** The refusal of an uploaded model: what is wrong, and what its owner can do about it. */
export function refusal(problem: string, remedy: string, cause?: unknown): PerennialError {
  return new PerennialError('bundle_invalid', `${legible(problem)} ${remedy}`, cause === undefined ? {} : { cause });
}

const longestProblem = 600;

/** Names in a file may have any length and hold any character, including ones that a database rejects. */
function legible(text: string): string {
  const plain = text.replace(/[\p{Cc}\p{Cs}]+/gu, ' ');
  return plain.length > longestProblem ? `${plain.slice(0, longestProblem)}…` : plain;
}

/** The refusal of a TF.js model whose export to ONNX would be accepted. */
export function layersRefusal(problem: string, cause?: unknown): PerennialError {
  return refusal(problem, 'Convert the model to ONNX where it was made and upload that.', cause);
}
