import { z } from 'zod';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { createApiClient } from './api-client.js';
import { decisionOf } from './measurements.js';
import type { PromotionFixture } from './promotion-fixture.js';
import { newVersionOf } from './registry-records.js';

/** A version of a model of its own, which a test brings into a state. */
export interface Subject {
  modelName: string;
  version: number;
}

export interface Answer {
  status: number;
  body: unknown;
}

/** Calls the API as a person who does what its refusals say. */
export interface Person {
  send(method: string, path: string, body?: unknown): Promise<Answer>;
  /** Registers a validated version. */
  candidate(modelName: string): Promise<number>;
  /**
   * Repeats `act` until it is accepted or `isReached`, and does before each repetition what the refusal names: the
   * first time the way with this index, then the first that is left. Throws with the answers if no way is left.
   */
  insist(
    subject: Subject,
    act: (isOverriding: boolean) => Promise<Answer>,
    isReached: () => Promise<boolean>,
    way: number,
  ): Promise<void>;
}

const problemSchema = z.object({ detail: z.string() });
export const detailOf = ({ body }: Answer): string => problemSchema.safeParse(body).data?.detail ?? '';

/** What a message says to do, in its order: calls as `POST /api/v1/…`, or `override`. */
export function waysIn(detail: string): string[] {
  const calls = detail.match(/(GET|POST|PUT|DELETE) \/api\/v1\/[^\s,;:)]*[^\s,;:).]/g) ?? [];
  return [...new Set([...calls, ...(detail.includes('"override": true') ? [override] : [])])];
}

const override = 'override';
const training = '/pipelines/retraining';
/** Whether the version to promote is another one than that of the refused request. */
const isAboutAnother = (detail: string): boolean =>
  /another version|a version in Staging|trained on other/.test(detail);

/** Refusals that say that nothing can be done, because the bytes are gone. */
export const isFinal = (detail: string): boolean => / was (deleted by|erased)/.test(detail);

export function createPerson({ served, stores }: PromotionFixture): Person {
  const api = createApiClient(served.url);
  const send: Person['send'] = async (method, path, body) => {
    const response = await fetch(served.url + path, {
      method,
      headers: { 'content-type': 'application/json', 'x-actor': 'ada' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const answer = { status: response.status, body: await response.json() };
    const started = acceptedSchema.safeParse(answer.body);
    if (!started.success) return answer;
    // No worker trains here: it is enough that a training is accepted.
    if (path.endsWith(training)) await api.post(`/api/v1/pipelines/${started.data.run_id}/cancel`, {});
    await api.ended(started.data.run_id, 30_000);
    return answer;
  };
  const candidate: Person['candidate'] = async (modelName) => {
    const { version } = await stores.registry.register(newVersionOf(modelName));
    await stores.registry.recordDecision(modelName, version, decisionOf('promote'));
    return version;
  };

  /** Approves a promotion that waits for it. */
  async function approved(answer: Answer): Promise<Answer> {
    const approval = waysIn(detailOf(answer)).find((way) => way.endsWith('/approve'));
    if (answer.status >= 300 || approval === undefined) return answer;
    const [method = '', path = ''] = approval.split(' ');
    await send(method, path, { comment: 'advised' });
    await api.ended(path.split('/').at(-2) ?? '', 30_000);
    return answer;
  }

  /** Does what a way says; `detail` is the message that names it. */
  async function call(
    way: string,
    detail: string,
    { modelName, version }: Subject,
    isOverriding: boolean,
  ): Promise<Answer> {
    const [method = '', path = ''] = way.split(' ');
    if (path.endsWith('/promote')) {
      const promoted = isAboutAnother(detail) ? await candidate(modelName) : version;
      const promotion = { model_name: modelName, version: promoted, reason: 'advised', override: isOverriding };
      return approved(await send(method, path, promotion));
    }
    if (path.endsWith('/rollback')) {
      const back = detail.includes('roll back to it') ? { version } : {};
      return send(method, path, { reason: 'advised', ...back });
    }
    if (path.endsWith(training)) return send(method, path, { model_name: modelName });
    if (path.endsWith('/stage')) return send(method, path, { stage: 'Staging', reason: 'advised' });
    if (path.endsWith('/erasures')) return send(method, path, { kind: 'model', id: modelName, reason: 'advised' });
    if (path.endsWith('/reject')) return send(method, path, { comment: 'advised' });
    return send(method, path, method === 'DELETE' ? undefined : { reason: 'advised' });
  }

  async function insist(
    subject: Subject,
    act: (isOverriding: boolean) => Promise<Answer>,
    isReached: () => Promise<boolean>,
    way: number,
    used = new Set<string>(),
  ): Promise<void> {
    for (let isFirst = true; ; isFirst = false) {
      const answer = await act(used.has(override));
      if (answer.status < 300 || (await isReached())) return;
      const detail = detailOf(answer);
      const keyOf = (each: string): string => (isAboutAnother(detail) ? `${each} of another` : each);
      const left = waysIn(detail).filter((each) => !used.has(keyOf(each)));
      const next = (isFirst ? left[way] : undefined) ?? left[0];
      if (next === undefined) {
        if (isFinal(detail) || [...used].some((each) => each.includes(training))) return;
        throw new Error(`No way on after ${JSON.stringify([...used])}: ${answer.status} ${detail}`);
      }
      used.add(keyOf(next));
      if (next !== override)
        await insist(subject, (isOverriding) => call(next, detail, subject, isOverriding), isReached, 0, used);
    }
  }
  return { send, candidate, insist };
}
