import { hash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { ImageFacts, PixelIdentity } from '../../contracts/datasets/datasets.js';
import { inspectImage, minimumSide } from '../../model/images/inspect.js';
import type { FileOutcome, Ingestion } from '../../stores/datasets/ingestions.js';
import { rawImageKey, refusedEntryKey } from '../../stores/objects/object-keys.js';
import { concurrently, createLimiter, type Limiter } from '../../platform/concurrently.js';
import type { Report } from '../runtime/heartbeat.js';
import type { IngestionDependencies } from './dependencies.js';
import type { FileGroup } from './archive/archive-groups.js';
import { pendingGroups } from './read-source.js';
import type { SourceBytes } from './source-bytes.js';

export interface BatchResult {
  pending: number;
  accepted: number;
  quarantined: number;
  newImages: number;
  duplicates: number;
}

/** Files in progress for each core: while one is decoded, another is read or uploaded. */
const filesPerCore = 2;

/** Processes at most `limit` pending files (all of an archive), decoding as many at once as there are cores. */
export async function ingestBatch(
  deps: IngestionDependencies,
  ingestion: Ingestion,
  limit: number,
  report: Report,
  signal: AbortSignal,
): Promise<BatchResult> {
  const decoding = createLimiter(availableParallelism());
  let settled = 0;
  // A killed worker has to repeat one group at most.
  for await (const group of pendingGroups(deps, ingestion, limit, signal)) {
    const { paths, read } = group;
    const images = new Map<string, Promise<NewImage>>();
    const outcomes = await concurrently(
      paths,
      availableParallelism() * filesPerCore,
      (path) => ingestFile({ ...deps, read, decoding }, path, images),
      signal,
    );
    const stored = (await Promise.all(images.values())).flatMap((image) => ('md5' in image ? [image] : []));
    await keepRefused(deps, group, outcomes);
    await deps.ingestions.settle(ingestion.id, outcomes, stored);
    settled += outcomes.length;
    report({ settled });
  }
  const { quarantined, pending, accepted, newImages, duplicates } = await deps.ingestions.counts(ingestion.id);
  const refused = Object.values(quarantined).reduce((sum, count) => sum + count, 0);
  return { pending, accepted, quarantined: refused, newImages, duplicates };
}

/** Stores the bytes of refused files, except those of erased images. */
async function keepRefused(
  { objects, uploads }: IngestionDependencies,
  { keepIn, read }: FileGroup,
  outcomes: readonly FileOutcome[],
): Promise<void> {
  if (keepIn === undefined) return;
  for (const outcome of outcomes) {
    const content = 'reason' in outcome && outcome.reason !== 'erased' ? await read(outcome.path) : null;
    if (content === null || !('bytes' in content)) continue;
    const objectKey = refusedEntryKey(keepIn, outcome.path);
    await objects.put(objectKey, content.bytes);
    await uploads.addRefusedEntry(keepIn, outcome.path, objectKey, content.bytes.byteLength);
  }
}

/** Result for new bytes: the image's metadata once it is uploaded, or why it was refused. */
type NewImage = (ImageFacts & PixelIdentity) | Refusal;
type Refusal = Exclude<SourceBytes, { bytes: Uint8Array }>;

type IngestTools = IngestionDependencies & { read: FileGroup['read']; decoding: Limiter };

async function ingestFile(
  tools: IngestTools,
  path: string,
  images: Map<string, Promise<NewImage>>,
): Promise<FileOutcome> {
  const content = await tools.read(path);
  if (!('bytes' in content)) return { path, ...content };
  const sha256 = hash('sha256', content.bytes);
  const status = await tools.ingestions.imageStatus(sha256);
  if (status === 'known') return { path, sha256, uploadedBytes: null };
  if (status === 'erased') return { path, reason: 'erased', detail: 'This image was erased on request.' };
  const inProgress = images.get(sha256);
  if (inProgress) return outcomeOf(path, await inProgress, false);
  const image = storeImage(tools, content.bytes);
  images.set(sha256, image);
  return outcomeOf(path, await image, true);
}

function outcomeOf(path: string, image: NewImage, isFirst: boolean): FileOutcome {
  if (!('md5' in image)) return { path, ...image };
  return { path, sha256: image.sha256, uploadedBytes: isFirst ? image.sizeBytes : null };
}

/** Checks an image and stores its bytes under their MD5, as DVC does. */
async function storeImage(
  { config, decoding, ingestions, pixels, objects }: IngestTools,
  bytes: Uint8Array,
): Promise<NewImage> {
  const limits = { maxPixels: config.MAX_IMAGE_PIXELS, maxBytes: config.MAX_UPLOAD_BYTES, minSide: minimumSide };
  const inspection = await decoding(() => inspectImage(bytes, limits));
  if (!inspection.ok) return { reason: inspection.reason, detail: inspection.detail };
  const { facts } = inspection;
  if (await pixels.isErased(facts)) {
    return { reason: 'erased', detail: 'This image was erased on request, in another file.' };
  }
  const holder = await ingestions.holderOfMd5(facts.md5);
  if (holder !== null && holder !== facts.sha256) {
    // MD5 collisions do not happen by chance. Overwriting the other image would change every version that contains it.
    return { reason: 'undecodable', detail: `Other bytes with the same MD5 are stored already (SHA-256 ${holder}).` };
  }
  const objectKey = rawImageKey(facts.md5);
  await ingestions.claim(objectKey);
  await objects.put(objectKey, bytes, `image/${facts.format}`);
  return facts;
}
