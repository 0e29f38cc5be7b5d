import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { messageOf } from '../../contracts/errors.js';
import { problemSchema } from '../../contracts/http.js';

export interface ApiClient {
  get<T>(path: string, schema: z.ZodType<T>): Promise<T>;
  post<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T>;
  /** Sends a file as multipart field `file`. */
  upload<T>(path: string, file: { name: string; bytes: Uint8Array<ArrayBuffer> }, schema: z.ZodType<T>): Promise<T>;
}

/** The API said no. `code` and the message are its own. */
export class ApiProblem extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const patience = { attempts: 40, pauseMs: 500 };

/**
 * A small client of our REST API. A request that finds nobody, because the API is being started again, is repeated for
 * 20 s: what we post joins a run in progress, so that repeating it does no harm.
 */
export function createApiClient(baseUrl: string, signal: AbortSignal, { attempts, pauseMs } = patience): ApiClient {
  const send = async <T>(path: string, init: RequestInit, schema: z.ZodType<T>): Promise<T> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const response = await fetch(new URL(path, baseUrl), { ...init, signal });
        return await read(response, path, schema);
      } catch (error) {
        const isFinal = error instanceof ApiProblem && error.status !== 503;
        if (isFinal || signal.aborted || attempt === attempts) throw error;
        await sleep(pauseMs, undefined, { signal });
      }
    }
  };
  return {
    get: (path, schema) => send(path, {}, schema),
    post: (path, body, schema) =>
      send(
        path,
        { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
        schema,
      ),
    upload: (path, file, schema) => {
      const form = new FormData();
      form.set('file', new Blob([file.bytes]), file.name);
      return send(path, { method: 'POST', body: form }, schema);
    },
  };
}

async function read<T>(response: Response, path: string, schema: z.ZodType<T>): Promise<T> {
  const text = await response.text();
  if (!response.ok) throw problemOf(response.status, text, path);
  const parsed = schema.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw new ApiProblem('unexpected_answer', 500, `${path} answered something unexpected: ${parsed.error.message}`);
}

function problemOf(status: number, text: string, path: string): ApiProblem {
  try {
    const { code, title, detail } = problemSchema.parse(JSON.parse(text));
    return new ApiProblem(code, status, `${title}: ${detail}`);
  } catch (error) {
    return new ApiProblem('unexpected_answer', status, `${path} answered ${status} (${messageOf(error).slice(0, 80)})`);
  }
}
