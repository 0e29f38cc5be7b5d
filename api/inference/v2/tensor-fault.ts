import { PerennialError } from '../../../contracts/errors.js';

/** Pointer to the input of a request. */
export const inputPointer = '#/inputs/0';

/** The error for a well-formed but unusable tensor; `at` is the place inside the input. */
export function invalidTensor(at: string, detail: string): PerennialError {
  const pointer = at === '' ? inputPointer : `${inputPointer}/${at}`;
  return new PerennialError('invalid_tensor', `${pointer}: ${detail}.`, { details: { errors: [{ pointer, detail }] } });
}
