import { setTimeout as sleep } from 'node:timers/promises';

/** What `work` gives, or an error when there is no answer within `ms`. The work itself is not ended. */
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
