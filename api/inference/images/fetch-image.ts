import type { LookupAddress } from 'node:dns';
import { lookup as systemLookup } from 'node:dns/promises';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import { messageOf, PerennialError } from '../../../contracts/errors.js';
import { allowedUrl, isInnerAddress, mayBeInner, refused } from './allowed-address.js';

/** Fetches the content of a URL. `withinMs` shortens the time limit. */
export type FetchImage = (url: string, withinMs?: number) => Promise<Buffer>;

export interface FetchImageOptions {
  /** Allowed hosts, as `host` or `host:port`. */
  hosts: readonly string[];
  maxBytes: number;
  /** Time limit over all redirects, to the last byte. */
  timeoutMs?: number;
  /** Resolves a name; default: the system resolver. */
  resolve?: (hostname: string) => Promise<LookupAddress[]>;
}

const usualTimeoutMs = 5_000;
const mostRedirects = 3;
/** Limits concurrent fetches, because fetched images are not in the budget of request bodies. */
const mostAtOnce = 32;

/**
 * Makes the fetcher of images by URL. A name is resolved once, and the connection uses one of the checked addresses, so
 * that DNS rebinding is impossible. The function throws `url_not_allowed`, `url_unreachable`, `too_large`, and `overloaded` above the limit of
 * concurrent fetches.
 */
export function createImageFetcher(options: FetchImageOptions): FetchImage {
  const { hosts, maxBytes, timeoutMs = usualTimeoutMs } = options;
  const ask = createAsking(outwardLookup(options.resolve ?? ((hostname) => systemLookup(hostname, { all: true }))));
  const follow = async (first: URL, signal: AbortSignal): Promise<Buffer> => {
    let url = first;
    for (let redirects = 0; redirects <= mostRedirects; redirects++) {
      const answer = await ask(url, signal);
      const next = redirection(answer);
      if (next === null) return readAnswer(answer, url, maxBytes);
      answer.destroy();
      url = allowedUrl(URL.canParse(next, url.href) ? new URL(next, url).href : next, hosts);
    }
    throw unreachable(first, `it leads through more than ${mostRedirects} redirects`);
  };
  let underWay = 0;
  return async (text, withinMs = timeoutMs) => {
    const url = allowedUrl(text, hosts);
    if (underWay === mostAtOnce) throw tooMany();
    underWay += 1;
    const mostMs = Math.max(1, Math.round(Math.min(withinMs, timeoutMs)));
    const signal = AbortSignal.timeout(mostMs);
    try {
      return await follow(url, signal);
    } catch (error) {
      if (signal.aborted) throw unreachable(url, `it was not there within ${mostMs} ms`);
      throw error instanceof PerennialError ? error : unreachable(url, reasonOf(error));
    } finally {
      underWay -= 1;
    }
  };
}

/** Node's word for a body that ends too early says nothing to a client. */
function reasonOf(error: unknown): string {
  const message = messageOf(error);
  return message === 'aborted' ? 'the connection ended before the image did' : message;
}

type Ask = (url: URL, signal: AbortSignal) => Promise<IncomingMessage>;

function createAsking(lookup: LookupFunction): Ask {
  // Addresses are checked when a connection is opened, so a pooled one needs no further check.
  const plain = new HttpAgent({ keepAlive: true });
  const secure = new HttpsAgent({ keepAlive: true });
  return (url, signal) =>
    new Promise((resolve, reject) => {
      const options = {
        headers: { Accept: 'image/*', 'User-Agent': 'perennial' },
        signal,
        ...(!mayBeInner(url) && { lookup }),
      };
      const request =
        url.protocol === 'http:'
          ? httpRequest(url, { ...options, agent: plain }, resolve)
          : httpsRequest(url, { ...options, agent: secure }, resolve);
      request.on('error', reject).end();
    });
}

/** A `lookup` function for Node that refuses a name if any of its addresses is private. */
function outwardLookup(resolve: (hostname: string) => Promise<LookupAddress[]>): LookupFunction {
  return (hostname, { all }, done) => {
    resolve(hostname).then(
      (addresses) => {
        const [first] = addresses;
        if (first === undefined) done(new Error(`${hostname} has no address`), '');
        else if (addresses.some(({ address }) => isInnerAddress(address))) done(inner(hostname), '');
        else if (all === true) done(null, addresses);
        else done(null, first.address, first.family);
      },
      (error: unknown) => done(error instanceof Error ? error : new Error(messageOf(error)), ''),
    );
  };
}

function redirection({ statusCode = 0, headers }: IncomingMessage): string | null {
  return [301, 302, 303, 307, 308].includes(statusCode) ? (headers.location ?? null) : null;
}

async function readAnswer(answer: IncomingMessage, url: URL, maxBytes: number): Promise<Buffer> {
  if (answer.statusCode !== 200) {
    answer.destroy();
    throw unreachable(url, `it answers with status ${answer.statusCode ?? 0}`);
  }
  const doubt = doubtAboutBody(answer);
  if (doubt !== null) {
    answer.destroy();
    throw unreachable(url, doubt);
  }
  if (Number(answer.headers['content-length'] ?? 0) > maxBytes) {
    answer.destroy();
    throw tooLarge(url, maxBytes);
  }
  const parts: Buffer[] = [];
  let bytes = 0;
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    parts.push(chunk);
    if (bytes > maxBytes) answer.destroy(tooLarge(url, maxBytes));
  });
  await new Promise<void>((resolve, reject) => {
    answer.once('end', resolve).once('error', reject);
    answer.once('close', () => reject(unreachable(url, 'the connection ended before the image did')));
  });
  return Buffer.concat(parts);
}

/** Why the body could not be told from a part of it, or is not the image itself; null if there is no reason. */
function doubtAboutBody({ headers }: IncomingMessage): string | null {
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') return `it is sent with the content encoding ${encoding}, which was not asked for`;
  const isChunked = /\bchunked$/i.test(headers['transfer-encoding'] ?? '');
  if (headers['content-length'] !== undefined || isChunked) return null;
  return 'its length is not sent (neither Content-Length nor chunks), so a part of it would look like the whole';
}

function inner(hostname: string): PerennialError {
  return refused(
    `The name ${hostname} resolves to a private address, from which no images are fetched. Add the address itself to IMAGE_URL_HOSTS to allow it.`,
  );
}

function tooMany(): PerennialError {
  return new PerennialError('overloaded', `${mostAtOnce} images are being fetched already. Try again in a moment.`);
}

function tooLarge(url: URL, maxBytes: number): PerennialError {
  return new PerennialError(
    'too_large',
    `The image at ${url.host} is larger than the ${maxBytes} bytes that are accepted. Send a smaller one.`,
  );
}

function unreachable(url: URL, why: string): PerennialError {
  return new PerennialError(
    'url_unreachable',
    `The image at ${url.host} cannot be fetched: ${why}. Check the address, or send the image itself.`,
  );
}
