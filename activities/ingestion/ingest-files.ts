import { hash } from 'node:crypto';
import type { ImageFacts, PixelIdentity } from '../../contracts/datasets/datasets.js';
import { minimumSide } from '../../model/images/header.js';
import { concurrently } from '../../platform/concurrently.js';
import type { FileOutcome, Ingestion } from '../../stores/datasets/ingestions.js';
import { rawImageKey, refusedEntryKey } from '../../stores/objects/object-keys.js';
import type { FileGroup } from './archive/archive-groups.js';
import type { IngestionDependencies } from './dependencies.js';
import type { SourceBytes } from './source-bytes.js';

/** Uploads of a set of files at once. */
const uploadsAtOnce = 8;

export interface IngestTools extends IngestionDependencies {
  ingestion: Ingestion;
  group: FileGroup;
  signal: AbortSignal;
}

type Facts = ImageFacts & PixelIdentity;
type Refusal = Exclude<SourceBytes, { bytes: Uint8Array }>;

/** The new images of a batch by SHA-256: null when the image is recorded, or why it was refused. */
export type FoundImages = Map<string, Promise<Refusal | null>>;

/** A file that was read. */
interface ReadFile {
  path: string;
  sha256: string;
  bytes: Uint8Array;
}

/** Ingests files together: each question to the database, and the record of the outcomes, is one for all of them. */
export async function ingestFiles(
  tools: IngestTools,
  files: ReadonlyMap<string, SourceBytes>,
  images: FoundImages,
): Promise<void> {
  const outcomes: FileOutcome[] = [];
  const read: ReadFile[] = [];
  for (const [path, content] of files) {
    if ('bytes' in content) read.push({ path, sha256: hash('sha256', content.bytes), bytes: content.bytes });
    else outcomes.push({ path, ...content });
  }
  const fresh: ReadFile[] = [];
  const statuses = await tools.ingestions.imageStatuses(read.map(({ sha256 }) => sha256));
  for (const file of read) {
    const status = statuses.get(file.sha256) ?? 'new';
    if (status === 'new') fresh.push(file);
    else outcomes.push(status === 'known' ? stored(file) : { path: file.path, ...erased });
  }
  await ingestFresh(tools, fresh, { outcomes, images });
}

/** Copies of an image wait until it is recorded, in this set or another, so that none is recorded before it. */
async function ingestFresh(
  tools: IngestTools,
  files: readonly ReadFile[],
  { outcomes, images }: { outcomes: FileOutcome[]; images: FoundImages },
): Promise<void> {
  const firsts = new Map<string, ReadFile>();
  for (const file of files) {
    if (!images.has(file.sha256) && !firsts.has(file.sha256)) firsts.set(file.sha256, file);
  }
  const copies = files.filter((file) => firsts.get(file.sha256) !== file);
  const recording = recordNew(tools, [...firsts.values()], outcomes);
  for (const sha256 of firsts.keys()) {
    const image = recording.then((refusals) => refusals.get(sha256) ?? null);
    // Thrown below.
    image.catch(() => undefined);
    images.set(sha256, image);
  }
  await recording;
  const late = copies.map(async (file): Promise<FileOutcome> => {
    const refusal = await images.get(file.sha256);
    return refusal ? { path: file.path, ...refusal } : stored(file);
  });
  if (late.length > 0) await settle(tools, await Promise.all(late), []);
}

/** Records new images with the files that brought them, and the other outcomes of the set. Gives what was refused. */
async function recordNew(
  tools: IngestTools,
  files: readonly ReadFile[],
  outcomes: readonly FileOutcome[],
): Promise<Map<string, Refusal>> {
  const images = await checkImages(tools, files);
  const accepted = images.flatMap(({ bytes, image }) => ('md5' in image ? { bytes, image } : []));
  await upload(tools, accepted);
  const brought = images.map(({ path, sha256, image }): FileOutcome =>
    'md5' in image ? { path, sha256, uploadedBytes: image.sizeBytes } : { path, ...image },
  );
  await settle(
    tools,
    [...outcomes, ...brought],
    accepted.map(({ image }) => image),
  );
  return new Map(images.flatMap(({ sha256, image }) => ('md5' in image ? [] : [[sha256, image]])));
}

interface CheckedFile extends ReadFile {
  image: Facts | Refusal;
}

/** Inspects images and asks the database whether it knows a reason against them. */
async function checkImages(
  { config, threads, pixels, ingestions }: IngestTools,
  files: readonly ReadFile[],
): Promise<CheckedFile[]> {
  const limits = { maxPixels: config.MAX_IMAGE_PIXELS, maxBytes: config.MAX_UPLOAD_BYTES, minSide: minimumSide };
  const inspected = await Promise.all(
    files.map(async (file) => ({ ...file, inspection: await threads.inspect(file.bytes, limits) })),
  );
  const facts = inspected.flatMap(({ inspection }) => (inspection.ok ? inspection.facts : []));
  const [erasedPixels, holders] = await Promise.all([
    pixels.erasedAmong(facts),
    ingestions.holdersOfMd5(facts.map(({ md5 }) => md5)),
  ]);
  return inspected.map(({ inspection, ...file }) => {
    if (!inspection.ok) return { ...file, image: { reason: inspection.reason, detail: inspection.detail } };
    const { pixelSha256, md5 } = inspection.facts;
    if (erasedPixels.has(pixelSha256)) return { ...file, image: erasedElsewhere };
    const holder = holders.get(md5) ?? file.sha256;
    return { ...file, image: holder === file.sha256 ? inspection.facts : otherBytes(holder) };
  });
}

/** Stores images under their MD5, as DVC does. Claims protect them from retention until they are recorded. */
async function upload(
  { ingestions, objects, signal }: IngestTools,
  images: readonly { bytes: Uint8Array; image: Facts }[],
): Promise<void> {
  if (images.length === 0) return;
  await ingestions.claim(images.map(({ image }) => rawImageKey(image.md5)));
  await concurrently(
    images,
    uploadsAtOnce,
    ({ bytes, image }) => objects.put(rawImageKey(image.md5), bytes, `image/${image.format}`),
    signal,
  );
}

/** Records outcomes, and new images with them, so that nothing is counted twice. */
async function settle(tools: IngestTools, outcomes: readonly FileOutcome[], images: readonly Facts[]): Promise<void> {
  if (outcomes.length === 0) return;
  await keepRefused(tools, outcomes);
  await tools.ingestions.settle(tools.ingestion.id, outcomes, images);
}

/** Stores the bytes of refused files, except those of erased images. */
async function keepRefused(
  { objects, uploads, group: { keepIn, read } }: IngestTools,
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

function stored({ path, sha256 }: ReadFile): FileOutcome {
  return { path, sha256, uploadedBytes: null };
}

const erased: Refusal = { reason: 'erased', detail: 'This image was erased on request.' };
const erasedElsewhere: Refusal = { reason: 'erased', detail: 'This image was erased on request, in another file.' };

/** MD5 collisions do not happen by chance. Overwriting the other image would change every version that contains it. */
function otherBytes(holder: string): Refusal {
  return { reason: 'undecodable', detail: `Other bytes with the same MD5 are stored already (SHA-256 ${holder}).` };
}
