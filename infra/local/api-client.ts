import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { messageOf } from '../../contracts/errors.js';
import { problemSchema } from '../../contracts/http/problem.js';
import { validate } from '../../platform/validation/validate.js';

export interface ApiClient {
  get<T>(path: string, schema: z.ZodType<T>): Promise<T>;
  /** Sends an idempotency key, so that a retry is recognised. */
  post<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T>;
  put<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T>;
  /** Sends a file as multipart field `file`. */
  upload<T>(path: string, file: { name: string; bytes: Uint8Array<ArrayBuffer> }, schema: z.ZodType<T>): Promise<T>;
  sendForm<T>(path: string, form: FormData, schema: z.ZodType<T>): Promise<T>;
}

export interface ApiClientOptions {
  /** Attempts for a request that gets no connection or a 503. */
  attempts: number;
  pauseMs: number;
  /** Name for the audit log. */
  actor: string | null;
}

/** The API refused a request. `code` and the message come from its problem response. */
export class ApiProblem extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const patience: ApiClientOptions = { attempts: 40, pauseMs: 500, actor: null };

/**
 * A small client of the REST API. It retries for 20 s while the API is unreachable, for instance during a restart. POST
 * requests join a run in progress, so a retry starts nothing twice.
 */
export function createApiClient(
  baseUrl: string,
  signal: AbortSignal,
  options: Partial<ApiClientOptions> = {},
): ApiClient {
  const { attempts, pauseMs, actor } = { ...patience, ...options };
  const send = async <T>(path: string, init: RequestInit, schema: z.ZodType<T>): Promise<T> => {
    const headers = new Headers(init.headers);
    if (actor !== null) headers.set('x-actor', actor);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const response = await fetch(new URL(path, baseUrl), { ...init, headers, signal });
        return await read(response, path, schema);
      } catch (error) {
        const isFinal = error instanceof ApiProblem && error.status !== 503;
        if (isFinal || signal.aborted || attempt === attempts) throw error;
        await sleep(pauseMs, undefined, { signal });
      }
    }
  };
  const sendForm: ApiClient['sendForm'] = (path, form, schema) => send(path, { method: 'POST', body: form }, schema);
  return {
    get: (path, schema) => send(path, {}, schema),
    post: (path, body, schema) =>
      send(path, { ...jsonOf('POST', body), headers: { ...json, 'idempotency-key': randomUUID() } }, schema),
    put: (path, body, schema) => send(path, jsonOf('PUT', body), schema),
    upload: (path, file, schema) => {
      const form = new FormData();
      form.set('file', new Blob([file.bytes]), file.name);
      return sendForm(path, form, schema);
    },
    sendForm,
  };
}

const json = { 'content-type': 'application/json' };

function jsonOf(method: string, body: unknown): RequestInit {
  return { method, headers: json, body: JSON.stringify(body) };
}

async function read<T>(response: Response, path: string, schema: z.ZodType<T>): Promise<T> {
  const text = await response.text();
  if (!response.ok) throw problemOf(response.status, text, path);
  const answer: unknown = JSON.parse(text);
  const { data, faults } = validate(schema, answer, 'it');
  if (faults === null) return data;
  const why = faults.map(({ detail }) => detail).join(' ');
  throw new ApiProblem('unexpected_answer', 500, `The response of ${path} has an unexpected shape. ${why}`);
}

function problemOf(status: number, text: string, path: string): ApiProblem {
  try {
    const { code, title, detail } = problemSchema.parse(JSON.parse(text));
    return new ApiProblem(code, status, `${title}: ${detail}`);
  } catch (error) {
    return new ApiProblem('unexpected_answer', status, `${path} answered ${status} (${messageOf(error).slice(0, 80)})`);
  }
}
