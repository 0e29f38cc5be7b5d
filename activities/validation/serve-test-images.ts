import { Context } from '@temporalio/activity';
import type { Manifest, Variant } from '../../contracts/registry/bundle.js';
import type { Example } from '../../contracts/datasets/datasets.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import type { AnswerTime } from '../../domain/promotion/gate-measures.js';
import type { ImageLimits } from '../../model/images/inspect.js';
import { loadEngine } from '../../model/serving/load-engine.js';
import type { Engine, EngineOptions } from '../../model/serving/engine.js';
import { fetchBundle, forgetBundle } from '../../stores/registry/bundles.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import { rawImageKey } from '../../stores/objects/object-keys.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import { concurrently } from '../../platform/concurrently.js';

export interface ServingDependencies {
  datasets: Pick<DatasetStore, 'imageFacts'>;
  objects: ObjectStore;
  /** Folder of local copies of bundles. */
  bundleFolder: string;
  threads: number;
  imageLimits: ImageLimits;
  /** The precision variant that will be served; by default the faster one. */
  variant?: EngineOptions['variant'];
}

/** Answers of the serving engine, one row for each image. */
export interface Served {
  probabilities: number[][];
  manifest: Manifest;
  /** The precision variant that answered. */
  variant: Variant;
  /** Null without images. */
  answerTime: AnswerTime | null;
}

/** Images of which the answer time is measured, one after another. */
const timedImages = 20;

/** Runs a version through the serving engine over images of the dataset. */
export async function serveTestImages(
  deps: ServingDependencies,
  version: ModelVersion,
  images: readonly Example[],
): Promise<Served> {
  const engine = await openEngine(deps, version);
  try {
    const answerTime = await timeAnswers(deps, engine, images.slice(0, timedImages));
    const { manifest, variant } = engine;
    return { probabilities: await predictExamples(deps, engine, images), manifest, variant, answerTime };
  } finally {
    await engine.close();
  }
}

/** As `serveTestImages`, outside an activity and without measuring times. */
export async function measureServed(
  deps: ServingDependencies,
  version: ModelVersion,
  { images, signal }: { images: readonly Example[]; signal: AbortSignal },
): Promise<number[][]> {
  const engine = await openEngine(deps, version);
  try {
    return await predictExamples(deps, engine, images, signal);
  } finally {
    await engine.close();
  }
}

/** Predicts images of the dataset; returns one row of probabilities for each. */
export async function predictExamples(
  deps: Pick<ServingDependencies, 'datasets' | 'objects' | 'threads'>,
  engine: Engine,
  images: readonly Example[],
  signal = Context.current().cancellationSignal,
): Promise<number[][]> {
  const read = await readerOf(deps, images);
  const predictOne = async (image: Example): Promise<number[]> =>
    (await engine.predictImage(await read(image))).probabilities;
  return concurrently(images, deps.threads * 2, predictOne, signal);
}

/** The time of decoding and inference, without that of reading the image. */
async function timeAnswers(
  deps: Pick<ServingDependencies, 'datasets' | 'objects'>,
  engine: Engine,
  images: readonly Example[],
): Promise<AnswerTime | null> {
  const read = await readerOf(deps, images);
  const timeOne = async (image: Example): Promise<number> => {
    const bytes = await read(image);
    const startedAt = performance.now();
    await engine.predictImage(bytes);
    return performance.now() - startedAt;
  };
  const times = await concurrently(images, 1, timeOne, Context.current().cancellationSignal);
  const p95Ms = times.sort((a, b) => a - b)[Math.ceil(0.95 * times.length) - 1];
  return p95Ms === undefined ? null : { images: times.length, p95Ms };
}

/** Reads the bytes of images of the dataset. */
async function readerOf(
  { datasets, objects }: Pick<ServingDependencies, 'datasets' | 'objects'>,
  images: readonly Example[],
): Promise<(image: Example) => Promise<Uint8Array>> {
  const facts = await datasets.imageFacts(images.map(({ sha256 }) => sha256));
  const md5Of = new Map(facts.map(({ sha256, md5 }) => [sha256, md5]));
  return ({ sha256 }) => objects.get(rawImageKey(md5Of.get(sha256) ?? ''));
}

function openEngine(deps: ServingDependencies, version: ModelVersion): Promise<Engine> {
  const { objects, bundleFolder, threads, imageLimits, variant } = deps;
  return loadEngine(
    { fetch: () => fetchBundle(objects, version, bundleFolder), forget: () => forgetBundle(version, bundleFolder) },
    { threads, queueLimit: threads * 4, limits: imageLimits, variant },
  );
}
