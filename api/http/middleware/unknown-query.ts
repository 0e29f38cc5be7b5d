import type { RequestHandler } from 'express';
import type { z } from 'zod';
import { PerennialError } from '../../../contracts/errors.js';
import { nearestName } from '../../../platform/validation/nearest.js';

interface Declared {
  method: string;
  path: string;
  query: z.ZodObject;
}

/**
 * The handler that refuses query parameters which a route does not declare, before its body is read: an answer without
 * the filter that was meant is wrong without a word. None for a route that takes any.
 */
export function refuseUnknownQuery({ method, path, query }: Declared): RequestHandler[] {
  if (query.def.catchall !== undefined) return [];
  const known = Object.keys(query.shape);
  return [
    (request, _response, next) => {
      const unknown = Object.keys(request.query).filter((name) => !known.includes(name));
      if (unknown.length > 0) throw refusal(unknown, known, `${method.toUpperCase()} ${path}`);
      next();
    },
  ];
}

const mostNamed = 20;

function refusal(unknown: readonly string[], known: readonly string[], route: string): PerennialError {
  const errors = unknown.slice(0, mostNamed).map((name) => ({
    pointer: `query/${name.slice(0, 100)}`,
    detail: `\`${name.slice(0, 100)}\` is not a query parameter of ${route}. ${adviceOn(name, known)}`,
  }));
  const more = unknown.length > 1 ? ` (and ${unknown.length - 1} more)` : '';
  return new PerennialError('unknown_parameter', `${errors[0]?.detail ?? ''}${more}`, { details: { errors } });
}

function adviceOn(name: string, known: readonly string[]): string {
  const near = nearestName(name, known);
  return near === undefined ? 'It takes none.' : `The nearest is \`${near}\`; it takes ${known.join(', ')}.`;
}
