import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { SourceDetail } from '../../stores/datasets/sources.js';

/** A network file system that is gone may not answer at all. */
const answerWithinMs = 2_000;

type Place = Pick<SourceDetail, 'kind' | 'locator' | 'missingSince'>;

/**
 * Whether the folder of a source is gone. The API looks itself where it can: it is there, or the folder around it is. On a
 * machine without these folders it tells what the worker found at the last ingestion.
 */
export async function isMissing({ kind, locator, missingSince }: Place): Promise<boolean> {
  if (kind !== 'folder') return false;
  if (await isFolder(locator)) return false;
  return missingSince !== null || (await isFolder(dirname(locator)));
}

async function isFolder(path: string): Promise<boolean> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), answerWithinMs);
  const tooLate = new Promise<boolean>((resolve) => {
    late.signal.addEventListener('abort', () => resolve(false));
  });
  const found = stat(path).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
  return Promise.race([found, tooLate]).finally(() => clearTimeout(timer));
}
