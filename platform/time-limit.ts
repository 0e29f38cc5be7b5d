import { setTimeout as sleep } from 'node:timers/promises';

/** The result of `work`; throws when there is none within `ms`. The work itself is not stopped. */
export async function withTimeLimit<T>(ms: number, work: Promise<T>): Promise<T> {
  const answered = new AbortController();
  const late = sleep(ms, undefined, { signal: answered.signal }).then(() => {
    throw new Error(`no answer within ${ms} ms`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    answered.abort();
  }
}
