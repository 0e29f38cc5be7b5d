import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';

/**
 * Downloads with Node alone: no curl is needed, and HTTP(S)_PROXY and NO_PROXY apply on every Node version (Node's fetch
 * supports them from version 24 only).
 */

/** A host that does not answer within this time is skipped for the next source. */
const connectMs = 5_000;
const idleMs = 30_000;
const maxRedirects = 5;

/** @typedef {(done: number, total: number | null) => void} OnProgress */

/**
 * Downloads `url` into `file`. Use a temporary name: after a failure the file may be incomplete.
 * @param {string} url
 * @param {string} file
 * @param {OnProgress} [onProgress]
 */
export async function downloadTo(url, file, onProgress = () => undefined) {
  const response = await open(new URL(url), maxRedirects);
  const length = Number(response.headers['content-length'] ?? Number.NaN);
  const total = Number.isNaN(length) ? null : length;
  let done = 0;
  response.on('data', (/** @type {Buffer} */ chunk) => onProgress((done += chunk.length), total));
  await pipeline(response, createWriteStream(file));
  if (total !== null && done !== total) {
    throw new Error(`the connection ended after ${String(done)} of ${String(total)} bytes`);
  }
}

/**
 * @param {string} url
 * @returns {Promise<string>}
 */
export async function downloadText(url) {
  const response = await open(new URL(url), maxRedirects);
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return text;
}

/**
 * @param {string} file
 * @returns {Promise<string>} in hexadecimal
 */
export async function sha256Of(file) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/**
 * @param {string} file
 * @param {string} expected SHA-256 in hexadecimal
 */
export async function verifySha256(file, expected) {
  const actual = await sha256Of(file);
  if (actual !== expected) {
    throw new Error(`the download does not match the published checksum: SHA-256 ${actual} instead of ${expected}`);
  }
}

/**
 * @param {URL} url
 * @param {number} redirectsLeft
 * @returns {Promise<http.IncomingMessage>} a response of status 200
 */
async function open(url, redirectsLeft) {
  const response = await request(url);
  const status = response.statusCode ?? 0;
  if (status === 200) return response;
  response.resume();
  if (status >= 300 && status < 400 && response.headers.location !== undefined) {
    if (redirectsLeft === 0) throw new Error(`${url.host} redirects too often`);
    return open(new URL(response.headers.location, url), redirectsLeft - 1);
  }
  throw new Error(`${url.host} answered ${String(status)} for ${url.pathname}`);
}

/**
 * @param {URL} url
 * @returns {Promise<http.IncomingMessage>}
 */
async function request(url) {
  const proxy = proxyFor(url, process.env);
  const socket = proxy === null ? null : await tunnel(url, proxy);
  const client = url.protocol === 'https:' ? https : http;
  const headers = { 'user-agent': 'perennial-setup', accept: '*/*' };
  return new Promise((resolve, reject) => {
    const sent = client.get(url, socket === null ? { headers } : { headers, createConnection: () => socket });
    const abort = new AbortController();
    void sleep(connectMs, null, { signal: abort.signal, ref: false }).then(
      () => sent.destroy(new Error(`${url.host} does not answer`)),
      () => undefined,
    );
    sent.on('response', (response) => {
      abort.abort();
      response.setTimeout(idleMs, () => response.destroy(new Error(`${url.host} stopped sending`)));
      resolve(response);
    });
    sent.on('error', (error) => {
      abort.abort();
      reject(new Error(describeFault(url, error)));
    });
  });
}

/**
 * @param {URL} url
 * @param {Error} error
 */
function describeFault(url, error) {
  const code = 'code' in error ? String(error.code) : '';
  const known = {
    ENOTFOUND: 'cannot be resolved',
    EAI_AGAIN: 'cannot be resolved',
    ECONNREFUSED: 'refuses the connection',
  };
  const reason = Object.entries(known).find(([key]) => key === code)?.[1];
  return reason === undefined ? error.message : `${url.host} ${reason}`;
}

/**
 * @param {URL} url
 * @param {NodeJS.ProcessEnv} environment
 * @returns {URL | null} the proxy that the usual variables set for this address
 */
export function proxyFor(url, environment) {
  const read = (/** @type {string} */ name) => environment[name] ?? environment[name.toLowerCase()] ?? '';
  const proxy = (url.protocol === 'https:' ? read('HTTPS_PROXY') : read('HTTP_PROXY')) || read('ALL_PROXY');
  const direct = read('NO_PROXY')
    .split(',')
    .map((entry) => entry.trim().replace(/^\*?\./, ''))
    .some((entry) => entry === '*' || (entry !== '' && (url.hostname === entry || url.hostname.endsWith(`.${entry}`))));
  if (proxy === '' || direct) return null;
  return new URL(proxy.includes('://') ? proxy : `http://${proxy}`);
}

/**
 * A connection to `url` through the proxy's CONNECT.
 * @param {URL} url
 * @param {URL} proxy
 * @returns {Promise<import('node:net').Socket>}
 */
function tunnel(url, proxy) {
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const login =
    proxy.username === '' ? null : `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  const client = proxy.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const sent = client.request({
      host: proxy.hostname,
      port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
      method: 'CONNECT',
      path: `${url.hostname}:${port}`,
      timeout: connectMs,
      headers: login === null ? {} : { 'proxy-authorization': `Basic ${Buffer.from(login).toString('base64')}` },
    });
    sent.on('connect', (response, socket) => {
      if (response.statusCode !== 200) {
        socket.destroy();
        reject(new Error(`the proxy ${proxy.host} answered ${String(response.statusCode)}`));
      } else resolve(url.protocol === 'https:' ? tls.connect({ socket, servername: url.hostname }) : socket);
    });
    sent.on('timeout', () => sent.destroy(new Error(`the proxy ${proxy.host} does not answer`)));
    sent.on('error', (error) => reject(new Error(`the proxy ${proxy.host} cannot be used: ${error.message}`)));
    sent.end();
  });
}
