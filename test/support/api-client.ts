import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { messageOf } from '../../contracts/errors.js';
import { pipelineSchema } from '../../contracts/pipelines/http-pipelines.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';

export type Accepted = z.infer<typeof acceptedSchema>;
export type Pipeline = z.infer<typeof pipelineSchema>;

/** The API as a client sees it: real HTTP, answers parsed with the contract. */
export interface ApiClient {
  get(path: string): Promise<{ status: number; body: unknown }>;
  post(path: string, body: unknown): Promise<{ status: number; body: unknown; location: string | null }>;
  predict(path: string): Promise<{ status: number; body: unknown }>;
  startRetraining(body?: unknown): Promise<Accepted>;
  pipeline(runId: string): Promise<Pipeline>;
  /** Waits until the pipeline has ended, with any status. */
  ended(runId: string, timeoutMs?: number): Promise<Pipeline>;
  /** Waits until a step has that status. */
  reached(runId: string, step: string, status?: string, timeoutMs?: number): Promise<Pipeline>;
}

export function createApiClient(url: string): ApiClient {
  const get: ApiClient['get'] = async (path) => {
    const response = await fetch(url + path);
    return { status: response.status, body: await response.json() };
  };
  const post: ApiClient['post'] = async (path, body) => {
    const response = await fetch(url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json(), location: response.headers.get('location') };
  };
  const pipeline = async (runId: string): Promise<Pipeline> =>
    pipelineSchema.parse((await get(`/api/v1/pipelines/${runId}`)).body);
  return {
    get,
    post,
    pipeline,
    async predict(path) {
      const form = new FormData();
      form.append('file', new Blob([new Uint8Array(await readFile(path))]), 'photograph');
      const response = await fetch(`${url}/predict`, { method: 'POST', body: form });
      return { status: response.status, body: await response.json() };
    },
    startRetraining: async (body = {}) => acceptedSchema.parse((await post('/api/v1/pipelines/retraining', body)).body),
    ended: (runId, timeoutMs = 120_000) =>
      poll(
        () => pipeline(runId),
        ({ status }) => status !== 'running',
        timeoutMs,
      ),
    reached: (runId, step, status = 'running', timeoutMs = 60_000) =>
      poll(
        () => pipeline(runId),
        ({ steps }) => steps.some((each) => each.name === step && each.status === status),
        timeoutMs,
      ),
  };
}

/** Polls until the value satisfies `holds`; the error of a timeout contains the last value. */
export async function poll<T>(ask: () => Promise<T>, holds: (answer: T) => boolean, timeoutMs = 30_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask().then(
      (value) => ({ value, error: null }),
      (error: unknown) => ({ value: null, error: messageOf(error) }),
    );
    if (answer.value !== null && holds(answer.value)) return answer.value;
    if (Date.now() > deadline) throw new Error(`it never came true; the last answer was ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
