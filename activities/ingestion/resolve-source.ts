import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ExistingSplit, Source } from '../../contracts/datasets/datasets.js';
import { errorCodeOf, messageOf, PerennialError } from '../../contracts/errors.js';
import { maxPathBytes } from '../../domain/datasets/shorten-path.js';
import { packageRoot } from '../../platform/paths.js';
import { bucketLocator, sourceFolderOf } from '../../platform/source-buckets.js';
import { requireAllowedSource } from '../../platform/source-folders.js';
import type { SourceKind } from '../../stores/datasets/datasets.js';
import type { Report } from '../runtime/heartbeat.js';
import type { IngestionDependencies } from './dependencies.js';
import { downloadPublicSet } from './public-set.js';
import { drawSyntheticSet } from './synthetic-set.js';

/** A source that can be scanned: a local folder or file, a prefix of a bucket, an upload by its id, or labelled images by their model. */
export interface ResolvedSource {
  kind: SourceKind;
  locator: string;
  isDefault: boolean;
  note: string | null;
}

/** What the source says of a split that it has already. */
export function existingSplitOf(source: Source): ExistingSplit | null {
  return 'split' in source ? (source.split ?? null) : null;
}

/**
 * Resolves where the images are; downloads the public set and draws the synthetic set if needed. `default` is DATASET_DIR,
 * else the public photographs, else, when those cannot be reached, the synthetic set.
 * Throws `source_not_found`, `source_not_allowed`, `source_unreachable`, or `conflict` for an upload that was ingested before.
 */
export async function resolveSource(
  deps: IngestionDependencies,
  { dataset, source }: { dataset: string; source: Source },
  report: Report,
  signal: AbortSignal,
): Promise<ResolvedSource> {
  switch (source.kind) {
    case 'default':
      return { ...(await resolveDefault(deps, report, signal)), isDefault: true };
    case 'folder': {
      const locator = await resolveFolder(source.path);
      await requireAllowedSource(deps.config, locator);
      return { kind: 'folder', locator, isDefault: false, note: null };
    }
    case 'archive':
    case 'csv': {
      const locator = await resolveFile(source.path);
      await requireAllowedSource(deps.config, locator);
      return { kind: source.kind, locator, isDefault: false, note: null };
    }
    case 's3': {
      const locator = bucketLocator(sourceFolderOf(deps.config, source));
      return { kind: 's3', locator, isDefault: false, note: null };
    }
    case 'public':
      return { ...(await publicSet(deps, report, signal)), isDefault: false };
    case 'synthetic':
      return { ...(await syntheticSet(deps, report, signal)), isDefault: false };
    case 'upload':
      return resolveUpload(deps, dataset, source.uploadId);
    case 'labels':
      return { kind: 'labels', locator: source.model, isDefault: false, note: null };
  }
}

type WithoutDefault = Omit<ResolvedSource, 'isDefault'>;

async function resolveDefault(
  deps: IngestionDependencies,
  report: Report,
  signal: AbortSignal,
): Promise<WithoutDefault> {
  const { DATASET_DIR } = deps.config;
  if (DATASET_DIR !== undefined) return { kind: 'folder', locator: await resolveFolder(DATASET_DIR), note: null };
  try {
    return await publicSet(deps, report, signal);
  } catch (error) {
    if (errorCodeOf(error) !== 'source_unreachable') throw error;
    deps.logger.warn({ reason: messageOf(error) }, 'using the synthetic set instead of the public photographs');
    return syntheticSet(deps, report, signal);
  }
}

async function publicSet(deps: IngestionDependencies, report: Report, signal: AbortSignal): Promise<WithoutDefault> {
  const { folder, note } = await downloadPublicSet(deps.config, report, signal);
  return { kind: 'public', locator: folder, note };
}

async function syntheticSet(
  { config }: IngestionDependencies,
  report: Report,
  signal: AbortSignal,
): Promise<WithoutDefault> {
  const { folder, note } = await drawSyntheticSet(config, report, signal);
  return { kind: 'synthetic', locator: folder, note };
}

/** The real path of an existing, readable folder. */
async function resolveFolder(path: string): Promise<string> {
  const { real, facts } = await resolvePath('folder', path);
  if (facts.isDirectory()) return real;
  throw new PerennialError(
    'source_not_found',
    `${path} is not a folder. Name the folder that holds the class folders; for a zip or tar say kind “archive”, for a table of labels “csv”.`,
  );
}

/** The real path of an existing, readable file. */
async function resolveFile(path: string): Promise<string> {
  const { real, facts } = await resolvePath('file', path);
  if (facts.isFile()) return real;
  throw new PerennialError(
    'source_not_found',
    `${path} is not a file. Name the file itself; for a folder say kind “folder”.`,
  );
}

/** Relative paths start at the project folder. */
async function resolvePath(what: string, path: string): Promise<{ real: string; facts: Stats }> {
  try {
    const real = await realpath(resolve(packageRoot, path));
    if (Buffer.byteLength(real) > maxPathBytes) throw new Error(`its path has more than ${maxPathBytes} bytes`);
    return { real, facts: await stat(real) };
  } catch (error) {
    throw new PerennialError(
      'source_not_found',
      `The ${what} ${path} cannot be read (${messageOf(error)}). Check the path, and that this process may read it.`,
      { cause: error },
    );
  }
}

async function resolveUpload(
  { uploads }: IngestionDependencies,
  dataset: string,
  uploadId: string,
): Promise<ResolvedSource> {
  const upload = await uploads.getUpload(uploadId);
  if (upload.dataset !== dataset) {
    throw new PerennialError(
      'conflict',
      `Upload ${uploadId} is for ${upload.dataset === null ? 'a batch prediction' : `dataset ${upload.dataset}`}, not for ${dataset}.`,
    );
  }
  if (upload.isDiscarded) {
    throw new PerennialError(
      'conflict',
      `Upload ${uploadId} was already ingested into ${dataset}. There is nothing to do.`,
    );
  }
  return { kind: 'upload', locator: uploadId, isDefault: false, note: null };
}
