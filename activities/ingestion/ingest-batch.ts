import { hash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { ImageFacts, PixelIdentity } from '../../contracts/datasets/datasets.js';
import { minimumSide } from '../../model/images/header.js';
import type { Ingestion } from '../../stores/datasets/ingestions.js';
import { rawImageKey } from '../../stores/objects/object-keys.js';
import { concurrently, createLimiter, type Limiter } from '../../platform/concurrently.js';
import type { Report } from '../runtime/heartbeat.js';
import type { IngestionDependencies } from './dependencies.js';
import { groupLimits, type FileGroup } from './archive/archive-groups.js';
import { createByteBudget, type ByteBudget } from './byte-budget.js';
import { createImageLookups, type ImageLookups } from './image-lookups.js';
import { pendingGroups } from './read-source.js';
import { createSettler, type Settler } from './settler.js';
import type { SourceBytes } from './source-bytes.js';

export interface BatchResult {
  pending: number;
  accepted: number;
  quarantined: number;
  newImages: number;
  duplicates: number;
}

/** Files in progress for each core: while one is decoded, others are read, looked up, uploaded or recorded. */
const filesPerCore = 8;

/** Processes at most `limit` pending files (all of an archive). */
export async function ingestBatch(
  deps: IngestionDependencies,
  ingestion: Ingestion,
  limit: number,
  report: Report,
  signal: AbortSignal,
): Promise<BatchResult> {
  const tools = {
    ...deps,
    lookups: createImageLookups(deps),
    inspecting: createLimiter(deps.inspectors.atOnce),
    reading: createLimiter(availableParallelism()),
    budget: createByteBudget(groupLimits.bytes),
  };
  let settled = 0;
  for await (const group of pendingGroups(deps, ingestion, limit, signal)) {
    const settler = createSettler(deps, ingestion, group, (files) => {
      settled += files;
      report({ settled });
    });
    const images = new Map<string, Promise<NewImage>>();
    await concurrently(
      group.paths,
      availableParallelism() * filesPerCore,
      (path) => ingestFile({ ...tools, read: group.read, settler }, path, images),
      signal,
    );
    await settler.flush();
  }
  const { quarantined, pending, accepted, newImages, duplicates } = await deps.ingestions.counts(ingestion.id);
  const refused = Object.values(quarantined).reduce((sum, count) => sum + count, 0);
  return { pending, accepted, quarantined: refused, newImages, duplicates };
}

/** Result for new bytes: the image's metadata once it is uploaded, or why it was refused. */
type NewImage = (ImageFacts & PixelIdentity) | Refusal;
type Refusal = Exclude<SourceBytes, { bytes: Uint8Array }>;

interface IngestTools extends IngestionDependencies {
  read: FileGroup['read'];
  settler: Settler;
  lookups: ImageLookups;
  inspecting: Limiter;
  reading: Limiter;
  budget: ByteBudget;
}

async function ingestFile(tools: IngestTools, path: string, images: Map<string, Promise<NewImage>>): Promise<void> {
  const { reading, budget, read, settler } = tools;
  const content = await reading(async () => {
    await budget.room();
    const found = await read(path);
    budget.take(sizeOf(found));
    return found;
  });
  try {
    if ('bytes' in content) await ingestBytes(tools, path, content.bytes, images);
    else await settler.add({ path, ...content });
  } finally {
    budget.release(sizeOf(content));
  }
}

function sizeOf(content: SourceBytes): number {
  return 'bytes' in content ? content.bytes.byteLength : 0;
}

async function ingestBytes(
  tools: IngestTools,
  path: string,
  bytes: Uint8Array,
  images: Map<string, Promise<NewImage>>,
): Promise<void> {
  const { lookups, settler } = tools;
  const sha256 = hash('sha256', bytes);
  const status = await lookups.status(sha256);
  if (status === 'known') return settler.add({ path, sha256, uploadedBytes: null });
  if (status === 'erased') return settler.add({ path, reason: 'erased', detail: 'This image was erased on request.' });
  const inProgress = images.get(sha256);
  if (inProgress) {
    const image = await inProgress;
    return settler.add('md5' in image ? { path, sha256, uploadedBytes: null } : { path, ...image });
  }
  // Copies of this image wait until its own outcome is added, so that none is recorded before the image.
  let settling: Promise<void> = Promise.resolve();
  const first = storeImage(tools, bytes).then((image) => {
    settling =
      'md5' in image
        ? settler.add({ path, sha256, uploadedBytes: image.sizeBytes }, image)
        : settler.add({ path, ...image });
    return image;
  });
  images.set(sha256, first);
  await first;
  await settling;
}

/** Checks an image and stores its bytes under their MD5, as DVC does. */
async function storeImage(tools: IngestTools, bytes: Uint8Array): Promise<NewImage> {
  const { config, inspectors, inspecting, lookups, objects } = tools;
  const limits = { maxPixels: config.MAX_IMAGE_PIXELS, maxBytes: config.MAX_UPLOAD_BYTES, minSide: minimumSide };
  const inspection = await inspecting(() => inspectors.inspect(bytes, limits));
  if (!inspection.ok) return { reason: inspection.reason, detail: inspection.detail };
  const { facts } = inspection;
  const { isErased, holder } = await lookups.obstacles(facts);
  if (isErased) return { reason: 'erased', detail: 'This image was erased on request, in another file.' };
  if (holder !== null && holder !== facts.sha256) {
    // MD5 collisions do not happen by chance. Overwriting the other image would change every version that contains it.
    return { reason: 'undecodable', detail: `Other bytes with the same MD5 are stored already (SHA-256 ${holder}).` };
  }
  const objectKey = rawImageKey(facts.md5);
  await lookups.claim(objectKey);
  await objects.put(objectKey, bytes, `image/${facts.format}`);
  return facts;
}
