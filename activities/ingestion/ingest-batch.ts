import { hash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { ImageFacts } from '../../contracts/datasets/datasets.js';
import { inspectImage, minimumSide } from '../../model/images/inspect.js';
import type { FileOutcome, Ingestion } from '../../stores/datasets/ingestions.js';
import { rawImageKey } from '../../stores/objects/object-keys.js';
import { concurrently, createLimiter, type Limiter } from '../../platform/concurrently.js';
import type { Report } from '../runtime/heartbeat.js';
import type { IngestionDependencies } from './dependencies.js';
import { sourceReader, type ReadSource, type SourceBytes } from './read-source.js';

export interface BatchResult {
  pending: number;
  accepted: number;
  quarantined: number;
  newImages: number;
  duplicates: number;
}

/** Outcomes written together: what a killed worker has to do again at most. */
const filesPerCommit = 32;

/** Files under way for each core: while one is decoded, another is read or on its way to the object store. */
const filesPerCore = 2;

/** Gives an outcome to at most `limit` files that have none yet, decoding as many at once as there are cores. */
export async function ingestBatch(
  deps: IngestionDependencies,
  ingestion: Ingestion,
  limit: number,
  report: Report,
  signal: AbortSignal,
): Promise<BatchResult> {
  const read = await sourceReader(deps, ingestion);
  const decoding = createLimiter(availableParallelism());
  const files = await deps.ingestions.takePending(ingestion.id, limit);
  for (let from = 0; from < files.length; from += filesPerCommit) {
    const images = new Map<string, Promise<Arrival>>();
    const outcomes = await concurrently(
      files.slice(from, from + filesPerCommit),
      availableParallelism() * filesPerCore,
      ({ path }) => ingestFile({ ...deps, read, decoding }, path, images),
      signal,
    );
    const arrived = (await Promise.all(images.values())).flatMap((arrival) => ('md5' in arrival ? [arrival] : []));
    await deps.ingestions.settle(ingestion.id, outcomes, arrived);
    report({ settled: from + outcomes.length, of: files.length });
  }
  const { quarantined, pending, accepted, newImages, duplicates } = await deps.ingestions.counts(ingestion.id);
  const refused = Object.values(quarantined).reduce((sum, count) => sum + count, 0);
  return { pending, accepted, quarantined: refused, newImages, duplicates };
}

/** What became of bytes that were new: facts once they are uploaded, or why they are not wanted. */
type Arrival = ImageFacts | Refusal;
type Refusal = Exclude<SourceBytes, { bytes: Uint8Array }>;

type Tools = IngestionDependencies & { read: ReadSource; decoding: Limiter };

async function ingestFile(tools: Tools, path: string, images: Map<string, Promise<Arrival>>): Promise<FileOutcome> {
  const content = await tools.read(path);
  if (!('bytes' in content)) return { path, ...content };
  const sha256 = hash('sha256', content.bytes);
  const standing = await tools.ingestions.standing(sha256);
  if (standing === 'known') return { path, sha256, uploadedBytes: null };
  if (standing === 'erased') return { path, reason: 'erased', detail: 'This image was erased on request.' };
  const begun = images.get(sha256);
  if (begun) return outcomeOf(path, await begun, false);
  const arrival = takeIn(tools, content.bytes);
  images.set(sha256, arrival);
  return outcomeOf(path, await arrival, true);
}

function outcomeOf(path: string, arrival: Arrival, isFirst: boolean): FileOutcome {
  if (!('md5' in arrival)) return { path, ...arrival };
  return { path, sha256: arrival.sha256, uploadedBytes: isFirst ? arrival.sizeBytes : null };
}

/** Checks an image and puts its bytes where DVC would, under their MD5. */
async function takeIn({ config, decoding, ingestions, objects }: Tools, bytes: Uint8Array): Promise<Arrival> {
  const limits = { maxPixels: config.MAX_IMAGE_PIXELS, maxBytes: config.MAX_UPLOAD_BYTES, minSide: minimumSide };
  const inspection = await decoding(() => inspectImage(bytes, limits));
  if (!inspection.ok) return { reason: inspection.reason, detail: inspection.detail };
  const { facts } = inspection;
  const holder = await ingestions.holderOfMd5(facts.md5);
  if (holder !== null && holder !== facts.sha256) {
    // MD5 collisions are made, not met; overwriting the other image would change every version that holds it.
    return { reason: 'undecodable', detail: `Other bytes with the same MD5 are stored already (SHA-256 ${holder}).` };
  }
  await objects.put(rawImageKey(facts.md5), bytes, `image/${facts.format}`);
  return facts;
}
