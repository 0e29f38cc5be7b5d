import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, PerennialError } from '../../contracts/errors.js';
import { minimumImagesOfClass } from '../../domain/datasets/check-trainable.js';
import type { Config } from '../../platform/config.js';
import { addressWithoutSecrets, withoutCredentials } from '../../platform/secrets.js';
import { concurrently } from '../../platform/concurrently.js';
import type { Report } from '../runtime/heartbeat.js';
import type { LocalSet } from './synthetic-set.js';
import { exists, writeAtomically } from '../../model/write-atomically.js';

const labels = ['dandelion', 'grass'] as const;
const downloadsAtOnce = 8;
const requestTimeoutMs = 20_000;
const attempts = 3;

/** Hidden file, written when the download is complete; it contains the URL and the number of images. */
const completionFile = '.complete';

/**
 * Downloads the missing public photographs below PERENNIAL_HOME. Numbers that do not exist (404) are skipped. When the
 * host cannot be reached, the photographs downloaded before are used if each class has enough of them; otherwise
 * throws `source_unreachable`.
 */
export async function downloadPublicSet(config: Config, report: Report, signal: AbortSignal): Promise<LocalSet> {
  const folder = join(config.PERENNIAL_HOME, 'datasets', 'public');
  const request = `${addressWithoutSecrets(config.PUBLIC_DATASET_URL)} ${String(config.PUBLIC_DATASET_IMAGES)}`;
  const completionPath = join(folder, completionFile);
  if ((await exists(completionPath)) && (await readFile(completionPath, 'utf8')) === request)
    return { folder, note: null };
  for (const label of labels) await mkdir(join(folder, label), { recursive: true });
  try {
    const missing = await download(config, folder, report, signal);
    await writeAtomically(completionPath, request);
    const note = missing === 0 ? null : `${missing} of the public photographs do not exist and were skipped.`;
    return { folder, note };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof PerennialError) || !(await isUsable(folder))) throw error;
    return { folder, note: `Only the photographs downloaded before are used: ${error.message}` };
  }
}

/** Fetches the missing files; returns how many do not exist. The first request alone shows whether the host answers. */
async function download(config: Config, folder: string, report: Report, signal: AbortSignal): Promise<number> {
  const names = Array.from(
    { length: config.PUBLIC_DATASET_IMAGES },
    (_, index) => `${String(index).padStart(8, '0')}.jpg`,
  );
  const wanted = labels.flatMap((label) => names.map((name) => `${label}/${name}`));
  let done = 0;
  let missing = 0;
  const fetchOne = async (path: string): Promise<void> => {
    const target = join(folder, path);
    if (!(await exists(target))) {
      const bytes = await fetchWithRetries(`${config.PUBLIC_DATASET_URL}/${path}`, config.MAX_UPLOAD_BYTES, signal);
      if (bytes) await writeAtomically(target, bytes);
      else missing += 1;
    }
    report({ downloaded: ++done, of: wanted.length });
  };
  await concurrently(wanted.slice(0, 1), 1, fetchOne, signal);
  await concurrently(wanted.slice(1), downloadsAtOnce, fetchOne, signal);
  if (missing === wanted.length) {
    throw new PerennialError(
      'source_unreachable',
      `There is no photograph at ${addressWithoutSecrets(config.PUBLIC_DATASET_URL)}. Set PUBLIC_DATASET_URL, or DATASET_DIR to a folder of your own.`,
    );
  }
  return missing;
}

/** The bytes at `url`, or null for a 404 or a file that is too large. A host that does not answer is not retried. */
async function fetchWithRetries(url: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array | null> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await fetchOnce(url, signal);
    if (answer.status === 404) return null;
    if (answer.ok && Number(answer.headers.get('content-length') ?? 0) <= maxBytes) return readBody(answer, url);
    await answer.body?.cancel();
    if (answer.ok) return null;
    if (attempt === attempts) throw unreachable(url, `status ${answer.status}`);
    await pause(500 * attempt, undefined, { signal });
  }
}

async function fetchOnce(url: string, signal: AbortSignal): Promise<Response> {
  try {
    const { url: target, headers } = withoutCredentials(url);
    return await fetch(target, { headers, signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]) });
  } catch (error) {
    signal.throwIfAborted();
    throw unreachable(url, messageOf(error instanceof Error ? (error.cause ?? error) : error));
  }
}

async function readBody(answer: Response, url: string): Promise<Uint8Array> {
  if (!answer.headers.has('content-length') && !answer.headers.has('transfer-encoding')) {
    await answer.body?.cancel();
    throw unreachable(url, 'the length of a photograph is not sent, so a part of it would look like the whole');
  }
  try {
    return new Uint8Array(await answer.arrayBuffer());
  } catch (error) {
    throw unreachable(url, messageOf(error));
  }
}

function unreachable(url: string, why: string): PerennialError {
  return new PerennialError(
    'source_unreachable',
    `The public photographs cannot be fetched from ${new URL(url).host} (${why}). Set DATASET_DIR to a folder of class folders.`,
  );
}

/** Whether an earlier download left enough of each class to train on. */
async function isUsable(folder: string): Promise<boolean> {
  for (const label of labels) {
    const files = await readdir(join(folder, label)).catch(() => []);
    if (files.filter((name) => !name.startsWith('.')).length < minimumImagesOfClass) return false;
  }
  return true;
}
