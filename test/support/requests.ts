import { z } from 'zod';
import { problemOf } from './served-api.js';

export interface RequestOptions {
  method?: string;
  body?: unknown;
  ifMatch?: string;
}

/** Requests to the API of a test, sent as the actor `ada`. */
export interface Requests {
  ask(path: string, asked?: RequestOptions): Promise<Response>;
  /** The body of a 200 response, parsed with its schema. */
  answer<S extends z.ZodType>(schema: S, path: string, asked?: RequestOptions): Promise<z.output<S>>;
  /** Asserts that the response is a problem and returns its kind. */
  problem(path: string, asked?: RequestOptions): Promise<{ status: number; code: string; detail: string }>;
}

const detailSchema = z.object({ detail: z.string() });

/** `url` is called at each request, so that the API may start later. */
export function createRequests(url: () => string): Requests {
  const ask: Requests['ask'] = (path, { method = 'GET', body, ifMatch } = {}) =>
    fetch(url() + path, {
      method,
      headers: {
        'X-Actor': 'ada',
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...(ifMatch !== undefined && { 'If-Match': ifMatch }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  return {
    ask,
    async answer(schema, path, asked) {
      const response = await ask(path, asked);
      const body: unknown = await response.json();
      expect({ status: response.status, body }).toMatchObject({ status: 200 });
      return schema.parse(body);
    },
    async problem(path, asked) {
      const response = await ask(path, asked);
      const { detail } = detailSchema.parse(await response.clone().json());
      return { ...(await problemOf(response)), detail };
    },
  };
}
