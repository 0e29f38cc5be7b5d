import { z } from 'zod';
import { messageOf } from '../../contracts/errors.js';
import { withoutCredentials } from '../../platform/secrets.js';
import { DeliveryFailure } from './channel.js';

export interface Post {
  url: string;
  body: string;
  headers?: Readonly<Record<string, string>>;
}

const maxRedirects = 3;
const shownBytes = 300;

/**
 * Posts JSON. Throws `DeliveryFailure` unless the status is 2xx. Follows only redirects that keep the method and stay on the
 * same host, so that a receiver cannot redirect messages to another host.
 */
export async function postJson({ url, body, headers }: Post, signal: AbortSignal): Promise<void> {
  const { url: first, headers: credentials } = withoutCredentials(url);
  let target = first;
  for (let redirects = 0; ; redirects += 1) {
    const response = await sendRequest(target, { body, headers: { ...headers, ...credentials } }, signal);
    if (response.ok) {
      await response.body?.cancel();
      return;
    }
    const next = redirects < maxRedirects ? redirectOf(response, target) : null;
    if (next === null) throw await refusedBy(response);
    await response.body?.cancel();
    target = next;
  }
}

async function sendRequest(target: URL, { body, headers }: Omit<Post, 'url'>, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(target, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'Content-Type': 'application/json', 'User-Agent': 'Perennial', ...headers },
      body,
      signal,
    });
  } catch (error) {
    // The message of a fetch error is always the same; the reason is in its cause.
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw new DeliveryFailure(`The receiver cannot be reached: ${reasonOf(cause)}.`);
  }
}

/** For a host with several addresses the error has one cause for each and no message of its own. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(messageOf).join('; ');
  return messageOf(cause);
}

function redirectOf(response: Response, from: URL): URL | null {
  const location = response.headers.get('location');
  if ((response.status !== 307 && response.status !== 308) || location === null) return null;
  const target = URL.canParse(location, from.href) ? withoutCredentials(new URL(location, from)).url : null;
  return target?.origin === from.origin ? target : null;
}

async function refusedBy(response: Response): Promise<DeliveryFailure> {
  const body = await beginningOf(response).catch(() => '');
  const redirected = response.status >= 300 && response.status < 400;
  const why = redirected ? ' with a redirect that is not followed (another host, or too many redirects)' : '';
  return new DeliveryFailure(`The receiver answered ${response.status}${why}${body === '' ? '.' : `: ${body}`}`, {
    retryAfterMs: retryAfterMs(response.headers.get('retry-after')),
  });
}

function retryAfterMs(header: string | null): number {
  if (header === null) return 0;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

/** Reads only the beginning, because a response may be endless. */
async function beginningOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    const part = z.instanceof(Uint8Array).parse(chunk);
    chunks.push(part);
    bytes += part.length;
    if (bytes >= shownBytes) break;
  }
  return Buffer.concat(chunks).toString('utf8').slice(0, shownBytes).trim();
}
