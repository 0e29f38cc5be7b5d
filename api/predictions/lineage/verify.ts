import type { LineageEdge } from '../../../contracts/predictions/http-predictions.js';
import { datasetDigest } from '../../../domain/datasets/dataset-digest.js';
import { concurrently } from '../../../platform/concurrently.js';
import { checkBundle, unlessMissing, type BundleCheck } from '../../../stores/registry/bundles.js';
import type { LineageFacts, LineageImage, LineageStore } from '../../../stores/predictions/lineage.js';
import type { ObjectStore } from '../../../stores/objects/object-store.js';
import type { StoredPrediction } from '../../../stores/predictions/predictions.js';
import type { Graph, Relation } from './graph.js';

export interface VerifyingStores {
  lineage: Pick<LineageStore, 'examples' | 'images' | 'sampleImages'>;
  objects: Pick<ObjectStore, 'get' | 'digest'>;
}

/** Number of images to verify in a sample. */
const sampleSize = 20;
/** Objects that are read concurrently. */
const readsAtOnce = 8;
const pageSize = 500;

type Verdict = Pick<LineageEdge, 'state' | 'detail' | 'figures'>;
type Check = (edge: LineageEdge) => Promise<Verdict> | Verdict;

/**
 * Verifies the edges of a graph: computes the digests of stored objects again, and compares rows that must agree. Throws
 * `object_store_unavailable` if an object cannot be read.
 */
export async function verifyLineage(
  { edges }: Graph,
  prediction: StoredPrediction,
  facts: LineageFacts,
  stores: VerifyingStores,
  scope: 'sample' | 'full',
): Promise<LineageEdge[]> {
  const checks = createChecks(prediction, facts, stores, scope);
  const verified: LineageEdge[] = [];
  for (const edge of edges) {
    const isOpen = edge.state === 'recorded';
    verified.push(isOpen ? { ...edge, ...(await checks[edge.relation](edge)) } : edge);
  }
  return verified;
}

function createChecks(
  prediction: StoredPrediction,
  facts: LineageFacts,
  stores: VerifyingStores,
  scope: 'sample' | 'full',
): Record<Relation, Check> {
  const { version, run, dataset, featureFiles, promotion, approval } = facts;
  let bundle: Promise<BundleCheck> | null = null;
  const checked = async (): Promise<BundleCheck | null> =>
    version && (await (bundle ??= checkBundle(stores.objects, version)));
  const onDataset: Check = () => checkDataset(facts, stores);
  const isErased = (version?.erasedAt ?? version?.deletedAt ?? null) !== null;
  const withBundle =
    (what: string, figure: Figure, ofManifest: 'weightsSha256' | 'codeRevision'): Check =>
    async () =>
      isErased ? notComparable : agree(what, figure, (await checked())?.manifest?.[ofManifest]);
  const ofRun = withBundle('the weights of the run', run?.weightsSha256, 'weightsSha256');
  return {
    made_by: () => agree('the bundle that predicted', prediction.bundleSha256, version?.bundleSha256),
    packaged_as: async () => bundleVerdict(await checked()),
    trained_by: ofRun,
    imported_by: ofRun,
    ran_in: () => workflowVerdict(run),
    ran_code: withBundle('the code revision', run?.codeRevision, 'codeRevision'),
    trained_on: onDataset,
    evaluated_on: onDataset,
    consists_of: () => checkImages(dataset, stores, scope),
    read_features: ({ to }) =>
      checkFeatureFile(
        featureFiles.find(({ sha256 }) => to === `feature_file:${sha256}`),
        stores,
      ),
    served_since: () => agree('the version that was put in Production', promotion?.version, prediction.version),
    approved_by: () => agree('the outcome', outcomeOf(approval), 'approved'),
  };
}

/** An approval that expired is one if the policy of the model promotes then. */
function outcomeOf(approval: LineageFacts['approval']): Figure {
  return approval?.outcome === 'expired' && approval.onExpiry === 'promote' ? 'approved' : approval?.outcome;
}

type Figure = string | number | null | undefined;

const notComparable: Verdict = {
  state: 'recorded',
  detail: 'The bundle was erased, so the run cannot be compared with it.',
  figures: {},
};

/** Verified if two rows have the same value. */
function agree(what: string, one: Figure, other: Figure): Verdict {
  if (one !== null && one !== undefined && one === other) return { state: 'verified', detail: null, figures: {} };
  return {
    state: 'failed',
    detail: `The rows disagree on ${what}: ${one ?? 'null'} and ${other ?? 'null'}.`,
    figures: {},
  };
}

/** Temporal's history is not read: it is retained for days, predictions for months. */
function workflowVerdict(run: LineageFacts['run']): Verdict {
  if (typeof run?.workflowRunId === 'string') return { state: 'verified', detail: null, figures: {} };
  return { state: 'recorded', detail: 'No attempts of this workflow are recorded.', figures: {} };
}

function bundleVerdict(check: BundleCheck | null): Verdict {
  const { files = 0, bytes = 0, failed = ['the row of the version'] } = check ?? {};
  const figures = { files, bytes, failed: failed.length };
  if (failed.length === 0) return { state: 'verified', detail: null, figures };
  return { state: 'failed', detail: `Missing or changed: ${failed.join(', ')}.`, figures };
}

async function checkDataset({ version, dataset }: LineageFacts, { lineage }: VerifyingStores): Promise<Verdict> {
  if (!version || !dataset) return agree('the dataset version', version?.datasetDigest, dataset?.digest);
  const examples = await lineage.examples(dataset.dataset, dataset.version);
  const computed = datasetDigest(examples);
  const figures = { images: examples.length };
  if (computed === dataset.digest && computed === version.datasetDigest) {
    return { state: 'verified', detail: null, figures };
  }
  const detail = `The images have the digest ${computed}, the dataset ${dataset.digest}, the model ${version.datasetDigest}.`;
  return { state: 'failed', detail, figures };
}

async function checkImages(
  dataset: LineageFacts['dataset'],
  stores: VerifyingStores,
  scope: 'sample' | 'full',
): Promise<Verdict> {
  if (!dataset) return agree('the dataset version', null, null);
  const looks = scope === 'full' ? allImages(dataset, stores) : sample(dataset, stores);
  const failed: string[] = [];
  let checked = 0;
  for await (const images of looks) {
    const wrong = await wrongImages(images, stores);
    failed.push(...wrong);
    checked += images.length;
  }
  const figures = { images: dataset.images, checked, erased: dataset.erasedImages, failed: failed.length };
  if (failed.length === 0) return { state: 'verified', detail: null, figures };
  return { state: 'failed', detail: `Missing or changed: ${failed.slice(0, 10).join(', ')}.`, figures };
}

type Dataset = NonNullable<LineageFacts['dataset']>;

async function* sample({ dataset, version }: Dataset, { lineage }: VerifyingStores): AsyncGenerator<LineageImage[]> {
  yield lineage.sampleImages(dataset, version, sampleSize);
}

async function* allImages({ dataset, version }: Dataset, { lineage }: VerifyingStores): AsyncGenerator<LineageImage[]> {
  let pageToken: string | null = null;
  do {
    const page: Awaited<ReturnType<LineageStore['images']>> = await lineage.images(dataset, version, {
      limit: pageSize,
      pageToken,
    });
    yield page.items.filter(({ erasedAt }) => erasedAt === null);
    pageToken = page.nextPageToken;
  } while (pageToken !== null);
}

async function wrongImages(images: readonly LineageImage[], { objects }: VerifyingStores): Promise<string[]> {
  const found = await concurrently(images, readsAtOnce, ({ objectKey }) => unlessMissing(objects.digest(objectKey)));
  return images.flatMap(({ sha256 }, index) => (found[index]?.sha256 === sha256 ? [] : [sha256]));
}

async function checkFeatureFile(
  file: LineageFacts['featureFiles'][number] | undefined,
  { objects }: VerifyingStores,
): Promise<Verdict> {
  if (!file) return agree('the feature file', null, null);
  const found = await unlessMissing(objects.digest(file.objectKey));
  const figures = { bytes: found?.sizeBytes ?? 0, images: file.images };
  if (found?.sha256 === file.sha256) return { state: 'verified', detail: null, figures };
  const detail = found ? `${file.objectKey} has SHA-256 ${found.sha256}.` : `${file.objectKey} is missing.`;
  return { state: 'failed', detail, figures };
}
