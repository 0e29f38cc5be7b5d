import type { V2InferRequest } from '../../../contracts/inference/http-v2.js';
import { parseInferBody } from './body.js';
import { readInput, type InferInput } from './input.js';

/** What is asked, without the tensor. */
export type Question = Omit<V2InferRequest, 'inputs'>;

/**
 * Reads the body of an inference request. Pixels in JSON take ten times the memory of their text once parsed; nothing
 * of that outlives this function.
 * @throws PerennialError bad_request, invalid_tensor
 */
export function readQuestion(
  body: Buffer,
  headerLength: string | undefined,
): { question: Question; input: InferInput } {
  const parsed = parseInferBody(body, headerLength);
  const { id, parameters, outputs } = parsed.request;
  return { question: { id, parameters, outputs }, input: readInput(parsed) };
}
