import { PerennialError } from '../../../contracts/errors.js';

/** Where a fault of the one input of a request is said to be. */
export const inputPointer = '#/inputs/0';

/** A tensor that is well formed and cannot be used; `at` is the place inside the input. */
export function invalidTensor(at: string, detail: string): PerennialError {
  const pointer = at === '' ? inputPointer : `${inputPointer}/${at}`;
  return new PerennialError('invalid_tensor', `${pointer}: ${detail}.`, { details: { errors: [{ pointer, detail }] } });
}
