import { randomUUID } from 'node:crypto';
import type { Request } from 'express';
import { PerennialError } from '../../contracts/errors.js';

const acceptable = /^[\x21-\x7e]{1,200}$/;

/** The `Idempotency-Key` header, or a new key without it. Throws `bad_request`. */
export function idempotencyKeyOf(request: Request): string {
  const given = request.get('idempotency-key');
  if (given === undefined) return randomUUID();
  if (acceptable.test(given)) return given;
  throw new PerennialError(
    'bad_request',
    'Idempotency-Key is 1 to 200 printable ASCII characters without spaces, for instance a UUID.',
  );
}
