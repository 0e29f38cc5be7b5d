import { errorCodeOf, messageOf, PerennialError } from '../../../contracts/errors.js';
import { bucketOfLocator, sourceFolderOf, type BucketFolder } from '../../../platform/source-buckets.js';
import type { FoundFile } from '../../../stores/datasets/scan-rows.js';
import type { ObjectStore } from '../../../stores/objects/object-store.js';
import { createPathTree } from '../../../domain/datasets/path-tree.js';
import type { Ingestion } from '../../../stores/datasets/ingestions.js';
import { classifierOf, layoutOf } from '../classify-by-layout.js';
import { clutterOfPath, refusedFile, withShortPath } from '../classify-path.js';
import type { IngestionDependencies } from '../dependencies.js';
import { countFile, type ScanTally } from '../scan-tally.js';
import { readWithin, tooLarge, type SourceBytes } from '../source-bytes.js';

type Deps = Pick<IngestionDependencies, 'config' | 'objects' | 'sourceObjects'>;

/** Reads a bucket folder as a folder of class folders: lists it once for its layout and once for its files. Throws as `layoutOf`. */
export async function scanBucket(
  deps: Deps & Pick<IngestionDependencies, 'ingestions'>,
  ingestion: Ingestion,
  { tally, signal }: { tally: ScanTally; signal: AbortSignal },
): Promise<{ files: AsyncGenerator<FoundFile>; warnings: string[] }> {
  const tree = createPathTree();
  for await (const { path } of listObjects(deps, ingestion.locator, signal)) {
    if (clutterOfPath(path) === null) tree.add(path);
  }
  const { layout, warnings } = await layoutOf(deps, ingestion, tree.list);
  const classify = classifierOf(layout, ingestion.split, tally);
  const maxBytes = deps.config.MAX_UPLOAD_BYTES;
  async function* files(): AsyncGenerator<FoundFile> {
    for await (const { path, sizeBytes } of listObjects(deps, ingestion.locator, signal)) {
      const clutter = clutterOfPath(path);
      if (clutter !== null) countFile(tally, clutter);
      else yield withShortPath(sizeBytes > maxBytes ? tooLargeFile(path, sizeBytes, maxBytes) : classify(path));
    }
  }
  return { files: files(), warnings };
}

function tooLargeFile(path: string, sizeBytes: number, maxBytes: number): FoundFile {
  const { reason, detail } = tooLarge(sizeBytes, maxBytes);
  return refusedFile(path, reason, detail);
}

/** Lists the objects of a bucket folder page by page, with their paths in it. */
async function* listObjects(
  deps: Deps,
  locator: string,
  signal: AbortSignal,
): AsyncGenerator<{ path: string; sizeBytes: number }> {
  const { prefix, objects } = open(deps, locator);
  try {
    for await (const { key, sizeBytes } of objects.list(prefix)) {
      signal.throwIfAborted();
      const path = key.slice(prefix.length);
      // Consoles create an empty object for each folder.
      if (!path.endsWith('/') && path !== '') yield { path, sizeBytes };
    }
  } catch (error) {
    throw ofSource(deps, locator, error);
  }
}

/** Reads an object as it is now: one request gets either its former or its new content, never a mixture. */
export async function readObject(deps: Deps, locator: string, path: string): Promise<SourceBytes> {
  const { prefix, objects } = open(deps, locator);
  const maxBytes = deps.config.MAX_UPLOAD_BYTES;
  try {
    const bytes = await readWithin(await objects.open(prefix + path), maxBytes);
    return bytes === null ? tooLarge(maxBytes + 1, maxBytes) : { bytes };
  } catch (error) {
    if (errorCodeOf(error) !== 'not_found') throw ofSource(deps, locator, error);
    return { reason: 'unreadable', detail: 'The object was removed from the bucket after it was listed.' };
  }
}

interface OpenFolder extends BucketFolder {
  objects: Pick<ObjectStore, 'list' | 'open'>;
}

/** The folder as the settings allow it now, which may have changed since the source was named. */
function open({ config, objects, sourceObjects }: Deps, locator: string): OpenFolder {
  const folder = sourceFolderOf(config, bucketOfLocator(locator));
  const isOther = folder.bucket === config.INGEST_S3_BUCKET;
  return { ...folder, objects: isOther ? (sourceObjects ?? objects) : objects };
}

/** The failure of another server as one of the source: it does not concern the own object store or its settings. */
function ofSource({ config }: Deps, locator: string, error: unknown): unknown {
  const { bucket } = bucketOfLocator(locator);
  const code = errorCodeOf(error);
  if (code === 'not_found') {
    return new PerennialError('source_not_found', `There is no bucket ${bucket}. Check INGEST_S3_BUCKET.`, {
      cause: error,
    });
  }
  if (bucket !== config.INGEST_S3_BUCKET || !code.startsWith('object_store')) return error;
  const message = messageOf(error).replaceAll(/\bS3_(?=ENDPOINT|ACCESS|SECRET)/g, 'INGEST_S3_');
  return new PerennialError(code, message, { cause: error });
}
