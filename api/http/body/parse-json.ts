import type { Request } from 'express';
import type { z } from 'zod';
import { PerennialError } from '../../../contracts/errors.js';
import { parseBoundedJson, type JsonBounds } from './json-bounds.js';
import { parseRequest } from '../problems.js';

/** The media type of a request without parameters; empty if there is none. */
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

/** Parses JSON that contains images by a schema. Throws `bad_request` with pointers. */
export function parseJson<T extends z.ZodType>(body: Buffer, schema: T, bounds: JsonBounds): z.output<T> {
  return parseRequest(schema, parseBoundedJson(body, bounds), '#');
}

/** Bounds of JSON that contains this many images. */
export function boundsOf(images: number): JsonBounds {
  return { depth: 16, containers: 100 + images, values: 100 + 10 * images };
}
