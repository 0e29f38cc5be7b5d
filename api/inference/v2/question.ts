import type { V2InferRequest } from '../../../contracts/inference/http-v2.js';
import { parseInferBody } from './body.js';
import { readInput, type InferInput } from './input.js';

/** An inference request without its tensors. */
export type Question = Omit<V2InferRequest, 'inputs'>;

export interface ReadQuestion {
  question: Question;
  input: InferInput;
}

/**
 * Reads the body of an inference request. Parsed JSON pixels take ten times the memory of their text, so they do not
 * outlive this function.
 * @throws PerennialError bad_request, invalid_tensor
 */
export function readQuestion(body: Buffer, headerLength: string | undefined): ReadQuestion {
  const parsed = parseInferBody(body, headerLength);
  const { id, parameters, outputs } = parsed.request;
  return { question: { id, parameters, outputs }, input: readInput(parsed) };
}
