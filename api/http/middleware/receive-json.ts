import type { RequestHandler } from 'express';
import { parseBoundedJson, plainBounds } from '../body/json-bounds.js';
import { requireUtf8 } from '../body/parse-json.js';
import { readBody } from '../body/read-body.js';
import type { Pace } from '../body/watch-body.js';

/** Reads and parses a body of JSON into `request.body`, which stays undefined for an empty body or another content type. */
export function receiveJson(maxBytes: number, pace?: Pace): RequestHandler {
  return async (request, _response, next) => {
    if (typeof request.is('application/json') === 'string') {
      requireUtf8(request);
      const bytes = await readBody(request, maxBytes, pace);
      if (bytes.length > 0) request.body = parseBoundedJson(bytes, plainBounds);
    }
    next();
  };
}
