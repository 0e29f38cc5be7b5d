import { Context } from '@temporalio/activity';
import type { Skipped } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { bytePath, folderLister } from '../../platform/folder-names.js';
import { shortenPath } from '../../domain/datasets/shorten-path.js';
import type { Ingestion } from '../../stores/datasets/ingestions.js';
import type { FoundFile } from '../../stores/datasets/scan-rows.js';
import type { UploadFile } from '../../stores/datasets/uploads.js';
import type { Report } from '../runtime/heartbeat.js';
import type { IngestionDependencies } from './dependencies.js';
import { fetchArchive } from './archive/fetch-archive.js';
import { scanArchive } from './archive/scan-archive.js';
import { scanCsv } from './csv/scan-csv.js';
import { scanBucket } from './s3/bucket-source.js';
import { layoutOf } from './classify-by-layout.js';
import { labelledFile } from './classify-path.js';
import { createTally, skippedOf, type ScanTally } from './scan-tally.js';
import { walkFolder } from './walk-folder.js';

export interface ScanResult {
  /** Without skipped files. */
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
  const tally = createTally();
  const { files, warnings } = await contentOf(deps, ingestion, { tally, signal, note: (text) => notes.push(text) });
  for await (const file of files) {
    result.files += 1;
    if (file.refusal) result.refused += 1;
    chunk.push(file);
    if (chunk.length === filesPerInsert) await flush();
  }
  if (chunk.length > 0) await flush();
  const skipped = skippedOf(tally);
  await deps.ingestions.endScan(ingestion.id, attempt, { skipped, warnings: [...warnings, ...renamedFolders(tally)] });
  if (result.files === 0) throw emptySourceError(ingestion, skipped);
  if (notes.length === 0) return result;
  const note = notes.join(' ');
  await deps.ingestions.addNote(ingestion.id, note);
  return { ...result, note };
}

interface ScanTools {
  tally: ScanTally;
  signal: AbortSignal;
  note: (text: string) => void;
}

interface SourceContent {
  files: AsyncIterable<FoundFile> | Iterable<FoundFile>;
  /** What a person should know of the way in which the source is read. */
  warnings: string[];
}

async function contentOf(deps: IngestionDependencies, ingestion: Ingestion, tools: ScanTools): Promise<SourceContent> {
  const { kind, locator } = ingestion;
  switch (kind) {
    case 'upload':
      return uploadContent(deps, ingestion, tools);
    case 'archive':
      return scanArchive(deps, ingestion, locator, tools);
    case 'csv':
      return { files: scanCsv(locator, tools.tally, tools.note), warnings: [] };
    case 's3':
      return scanBucket(deps, ingestion, tools);
    case 'labels':
      return { files: labelledImages(deps, locator), warnings: [] };
    case 'folder':
    case 'public':
    case 'synthetic':
      return folderContent(deps, ingestion, tools.tally);
  }
}

/** Throws as `layoutOf`. */
async function folderContent(
  deps: IngestionDependencies,
  ingestion: Ingestion,
  tally: ScanTally,
): Promise<SourceContent> {
  const root = bytePath(ingestion.locator);
  const { layout, warnings } = await layoutOf(deps, ingestion, folderLister(root));
  return { files: walkFolder({ root, layout, existingSplit: ingestion.split, tally }), warnings };
}

function renamedFolders({ renamed }: ScanTally): string[] {
  return [...renamed].map(([folder, label]) => `The folder “${folder}” is read as the class “${label}”.`);
}

function emptySourceError({ kind, locator }: Ingestion, skipped: Skipped): PerennialError {
  const passedOver = Object.entries(skipped).map(([what, files]) => `${files} ${what}`);
  const only = passedOver.length === 0 ? '' : ` but what programs leave (${passedOver.join(', ')})`;
  return new PerennialError(
    'source_empty',
    kind === 'labels'
      ? `Model ${locator} has no captured image with an accepted label. Set keep_inputs in its policy, then label the images of GET /api/v1/labels/queue.`
      : `There are no files in ${locator}${only}. A source is a folder with one folder for each class, which contain the images.`,
  );
}

/** The path of each is the id of its prediction, which the reader and lineage use. */
async function* labelledImages({ labels }: IngestionDependencies, modelName: string): AsyncGenerator<FoundFile> {
  for (const { predictionId, label } of await labels.accepted(modelName))
    yield labelledFile(predictionId, label, 'label');
}

async function uploadContent(
  deps: IngestionDependencies,
  ingestion: Ingestion,
  tools: ScanTools,
): Promise<SourceContent> {
  const { label } = await deps.uploads.getUpload(ingestion.locator);
  if (label !== null) return { files: uploadedFiles(deps, ingestion.locator, label), warnings: [] };
  // An archive brings its own labels.
  const archive = await fetchArchive(deps, ingestion.locator);
  try {
    return await scanArchive(deps, ingestion, archive.path, tools);
  } finally {
    await archive.remove();
  }
}

async function* uploadedFiles(
  { uploads }: IngestionDependencies,
  uploadId: string,
  label: string,
): AsyncGenerator<FoundFile> {
  for (const file of await uploads.uploadFiles(uploadId))
    yield labelledFile(uploadPath(file), label, 'label of the upload');
}

/** Path of an uploaded file: unique within its upload, with the original name at the end. */
export function uploadPath({ position, name }: Pick<UploadFile, 'position' | 'name'>): string {
  return shortenPath(`${String(position).padStart(6, '0')}-${name}`);
}
