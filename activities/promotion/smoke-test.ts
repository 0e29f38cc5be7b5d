import { z } from 'zod';
import { messageOf } from '../../contracts/errors.js';
import { addressWithoutSecrets, withoutCredentials } from '../../platform/secrets.js';

export type SmokeTest =
  | { outcome: 'passed' }
  /** The replica gave a wrong answer. */
  | { outcome: 'failed'; detail: string }
  /** The replica did not answer, or asked to retry later: that says nothing about the model. */
  | { outcome: 'unanswered'; detail: string };

const timeoutMs = 10_000;
const retryableStatuses = [408, 429, 502, 503, 504];
const answerSchema = z.object({ model_version: z.string(), confidence: z.number().min(0).max(1) });

/** Requests one prediction from a replica, and checks that `version` answers. */
export async function smokeTest(address: string, image: Uint8Array, version: number): Promise<SmokeTest> {
  const url = addressWithoutSecrets(address);
  const form = new FormData();
  form.append('file', new Blob([new Uint8Array(image)]), 'smoke-test');
  let response: Response;
  let text: string;
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const { url: target, headers } = withoutCredentials(new URL('/predict', address));
    response = await fetch(target, { method: 'POST', body: form, headers, signal });
    text = await response.text();
  } catch (error) {
    return { outcome: 'unanswered', detail: `${url} does not answer: ${messageOf(error)}` };
  }
  if (retryableStatuses.includes(response.status)) {
    return { outcome: 'unanswered', detail: `${url} answers ${response.status}` };
  }
  if (!response.ok)
    return { outcome: 'failed', detail: `${url} failed the smoke test: it answered ${response.status}: ${text}` };
  return judge(url, text, version);
}

function judge(url: string, text: string, version: number): SmokeTest {
  const answer = answerSchema.safeParse(parseJson(text));
  if (!answer.success)
    return { outcome: 'failed', detail: `${url} failed the smoke test: the answer is not a prediction: ${text}` };
  const { model_version: answered } = answer.data;
  if (answered === String(version)) return { outcome: 'passed' };
  return {
    outcome: 'failed',
    detail: `${url} failed the smoke test: version ${answered} answered instead of ${version}`,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
