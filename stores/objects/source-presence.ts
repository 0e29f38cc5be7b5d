import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCodeOf } from '../../contracts/errors.js';
import { bucketOfLocator, sourceFolderOf, type SourceBuckets } from '../../platform/source-buckets.js';
import type { ObjectStore } from './object-store.js';

/** A file system or a server that is gone may not answer at all. */
const answerWithinMs = 2_000;

/** `unknown`: this process cannot see where the source would be, such as on a machine without these folders. */
export type Presence = 'there' | 'gone' | 'unknown';

/** Whether what a source names is at its place: the folder, the file, or an object under the prefix. */
export type SourcePresence = (source: { kind: string; locator: string }) => Promise<Presence>;

export interface SourcePlaces {
  config: SourceBuckets;
  objects: Pick<ObjectStore, 'list'>;
  /** The bucket of INGEST_S3_BUCKET. */
  sourceObjects?: Pick<ObjectStore, 'list'> | undefined;
}

/** Uploads, labels and the sets that Perennial makes itself are always there. */
export function createSourcePresence(places: SourcePlaces): SourcePresence {
  return ({ kind, locator }) => {
    switch (kind) {
      case 'folder':
        return inTime(pathPresence(locator, (facts) => facts.isDirectory()));
      case 'archive':
      case 'csv':
        return inTime(pathPresence(locator, (facts) => facts.isFile()));
      case 's3':
        return inTime(prefixPresence(places, locator));
      default:
        return Promise.resolve('there');
    }
  };
}

/** A path is gone if the folder around it is there. */
async function pathPresence(path: string, isWanted: (facts: Stats) => boolean): Promise<Presence> {
  if (await leadsTo(path, isWanted)) return 'there';
  return (await leadsTo(dirname(path), (facts) => facts.isDirectory())) ? 'gone' : 'unknown';
}

function leadsTo(path: string, isWanted: (facts: Stats) => boolean): Promise<boolean> {
  return stat(path).then(isWanted, () => false);
}

async function prefixPresence({ config, objects, sourceObjects }: SourcePlaces, locator: string): Promise<Presence> {
  try {
    const { bucket, prefix } = sourceFolderOf(config, bucketOfLocator(locator));
    const store = bucket === config.INGEST_S3_BUCKET ? (sourceObjects ?? objects) : objects;
    const first = await store.list(prefix, 1)[Symbol.asyncIterator]().next();
    return first.done === true ? 'gone' : 'there';
  } catch (error) {
    return errorCodeOf(error) === 'not_found' ? 'gone' : 'unknown';
  }
}

function inTime(looking: Promise<Presence>): Promise<Presence> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), answerWithinMs);
  const tooLate = new Promise<Presence>((resolve) => {
    late.signal.addEventListener('abort', () => resolve('unknown'));
  });
  return Promise.race([looking, tooLate]).finally(() => clearTimeout(timer));
}
