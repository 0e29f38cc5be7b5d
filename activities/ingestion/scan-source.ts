import { Context } from '@temporalio/activity';
import { PerennialError } from '../../contracts/errors.js';
import { shortenPath } from '../../domain/datasets/shorten-path.js';
import type { FoundFile, Ingestion } from '../../stores/datasets/ingestions.js';
import type { UploadFile } from '../../stores/datasets/uploads.js';
import type { Report } from '../runtime/heartbeat.js';
import type { IngestionDependencies } from './dependencies.js';
import { fetchArchive } from './archive/fetch-archive.js';
import { scanArchive } from './archive/scan-archive.js';
import { scanCsv } from './csv/scan-csv.js';
import { scanBucket } from './s3/bucket-source.js';
import { walkFolder } from './walk-folder.js';

export interface ScanResult {
  files: number;
  /** Files that are refused without reading them: links out of the source, files outside class folders, and so on. */
  refused: number;
  /** What a person should know of the source, such as unused columns. */
  note?: string;
}

const filesPerInsert = 500;

/** Lists the files of a source in the database. Throws `source_empty` when there are none. */
export async function scanSource(
  deps: IngestionDependencies,
  ingestion: Ingestion,
  report: Report,
  signal: AbortSignal,
): Promise<ScanResult> {
  const { attempt } = Context.current().info;
  await deps.ingestions.restartScan(ingestion.id, attempt);
  const result: ScanResult = { files: 0, refused: 0 };
  const notes: string[] = [];
  let chunk: FoundFile[] = [];
  const flush = async (): Promise<void> => {
    await deps.ingestions.addFiles(ingestion.id, attempt, chunk);
    chunk = [];
    report({ found: result.files });
    signal.throwIfAborted();
  };
  for await (const file of filesOf(deps, ingestion, { signal, note: (text) => notes.push(text) })) {
    result.files += 1;
    if (file.refusal) result.refused += 1;
    chunk.push(file);
    if (chunk.length === filesPerInsert) await flush();
  }
  if (chunk.length > 0) await flush();
  if (result.files === 0) {
    throw emptySourceError(ingestion);
  }
  if (notes.length === 0) return result;
  const note = notes.join(' ');
  await deps.ingestions.addNote(ingestion.id, note);
  return { ...result, note };
}

interface ScanTools {
  signal: AbortSignal;
  note: (text: string) => void;
}

function filesOf(
  deps: IngestionDependencies,
  { kind, locator }: Ingestion,
  { signal, note }: ScanTools,
): AsyncIterable<FoundFile> {
  switch (kind) {
    case 'upload':
      return uploadedFiles(deps, locator, signal);
    case 'archive':
      return scanArchive(locator, deps.config.MAX_UPLOAD_BYTES, signal);
    case 'csv':
      return scanCsv(locator, note);
    case 's3':
      return scanBucket(deps, locator, signal);
    case 'labels':
      return labelledImages(deps, locator);
    case 'folder':
    case 'public':
    case 'synthetic':
      return walkFolder(locator);
  }
}

function emptySourceError({ kind, locator }: Ingestion): PerennialError {
  return new PerennialError(
    'source_empty',
    kind === 'labels'
      ? `Model ${locator} has no captured image with an accepted label. Set keep_inputs in its policy, then label the images of GET /api/v1/labels/queue.`
      : `There are no files in ${locator}. A source is a folder with one folder for each class, which contain the images.`,
  );
}

/** The path of each is the id of its prediction, which the reader and lineage use. */
async function* labelledImages({ labels }: IngestionDependencies, modelName: string): AsyncGenerator<FoundFile> {
  for (const { predictionId, label } of await labels.accepted(modelName)) yield { path: predictionId, label };
}

async function* uploadedFiles(
  deps: IngestionDependencies,
  uploadId: string,
  signal: AbortSignal,
): AsyncGenerator<FoundFile> {
  const { label } = await deps.uploads.getUpload(uploadId);
  // An archive brings its own labels.
  if (label === null) {
    yield* scanUploadedArchive(deps, uploadId, signal);
    return;
  }
  for (const file of await deps.uploads.uploadFiles(uploadId))
    yield { path: uploadPath(file), label: label.normalize('NFC') };
}

async function* scanUploadedArchive(
  deps: IngestionDependencies,
  uploadId: string,
  signal: AbortSignal,
): AsyncGenerator<FoundFile> {
  const archive = await fetchArchive(deps, uploadId);
  try {
    yield* scanArchive(archive.path, deps.config.MAX_UPLOAD_BYTES, signal);
  } finally {
    await archive.remove();
  }
}

/** Path of an uploaded file: unique within its upload, with the original name at the end. */
export function uploadPath({ position, name }: Pick<UploadFile, 'position' | 'name'>): string {
  return shortenPath(`${String(position).padStart(6, '0')}-${name}`);
}
