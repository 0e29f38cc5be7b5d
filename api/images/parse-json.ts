import type { Request } from 'express';
import type { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { faultsOf, invalidRequest } from '../problems.js';

/** The media type a request says its body has, without parameters; empty when it says none. */
export function mediaTypeOf(request: Request): string {
  const type = request.headers['content-type'] ?? '';
  const end = type.indexOf(';');
  return (end < 0 ? type : type.slice(0, end)).trim().toLowerCase();
}

/** Refuses JSON in another encoding than UTF-8. Throws `unsupported_type`. */
export function requireUtf8(request: Request): void {
  const charset = /;\s*charset="?([\w-]+)/i.exec(request.headers['content-type'] ?? '')?.[1];
  if (charset === undefined || /^utf-?8$/i.test(charset)) return;
  throw new PerennialError('unsupported_type', `JSON must be UTF-8, not ${charset}.`);
}

/** What JSON in UTF-8 says. Throws `bad_request` when it is none, as with NaN and Infinity, which JSON does not know. */
export function readJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new PerennialError('bad_request', 'The body is not valid JSON. Check it with a JSON parser.');
  }
}

/** The same, parsed by a schema, whose faults it points at. */
export function parseJson<T extends z.ZodType>(body: Buffer, schema: T): z.output<T> {
  const parsed = schema.safeParse(readJson(body));
  if (!parsed.success) throw invalidRequest(faultsOf(parsed.error, '#'));
  return parsed.data;
}
