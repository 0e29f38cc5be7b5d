import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleFiles, quantizationSchema, type Quantization } from '../../contracts/registry/bundle.js';
import { messageOf } from '../../contracts/errors.js';
import { writeJson } from '../../platform/validation/json-file.js';
import { usesStoredFeatures } from '../architectures/backbone-digest.js';
import { loadBackbone } from '../architectures/backbone.js';
import type { TrainedNetwork } from '../architectures/trained-network.js';
import { softmax } from '../evaluation/temperature.js';
import { decodeBatches } from '../features/decode-batches.js';
import type { ImageFile, PackageJob, TrainJob } from '../jobs.js';
import { probeImages, probePixels } from '../serving/probe.js';
import type { LabelledRows } from '../training/labelled-rows.js';
import { judgeQuantization } from './judge-quantization.js';
import { cachedLayers } from './int8-cache.js';
import { addClassifierTo } from './onnx-int8.js';
import { quantizeInThread } from './quantize-in-thread.js';
import { chooseQuantizationSample } from './quantization-sample.js';
import { withOnnx, type OnnxAnswers } from './run-onnx.js';
import type { Scores } from './score.js';

const batchSize = 8;

export interface Quantized {
  report: Quantization;
  /** Outputs of the int8 network; null when it failed its checks and is not in the bundle. */
  int8: {
    /** The held-out images it was judged by, and their features. */
    rows: number[];
    features: Float32Array[];
    /** Probabilities of the probe, row by row. */
    probe: number[][];
  } | null;
}

/** The quantized layers of a network, and the images by which its int8 variant will be judged. */
export interface QuantizedLayers {
  rangeImages: number;
  judged: ImageFile[];
  layers: Uint8Array;
}

/**
 * Quantizes the layers of the network in parallel with the other steps. The temperature need not be known yet: it only
 * changes the classifier, which is not quantized.
 * @throws Error when the job lists no images to observe
 */
export async function quantizeLayers(
  job: PackageJob,
  { featureOperations: operations, weights }: TrainedNetwork,
): Promise<QuantizedLayers> {
  const sample = chooseQuantizationSample(job.examples);
  const rangeImages = imagesAtHand(job, sample.ranges);
  const judged = imagesAtHand(job, sample.judged);
  if (rangeImages.length === 0 || judged.length === 0) {
    throw new Error(
      `Quantization needs training and validation images; the job lists ${rangeImages.length} and ${judged.length}.`,
    );
  }
  const layers = usesStoredFeatures(job.hyperparameters)
    ? await quantizeBackbone({ images: rangeImages, cacheFolder: job.cacheFolder })
    : await quantizeInThread({ operations, weights, images: rangeImages });
  return { rangeImages: rangeImages.length, judged, layers };
}

/** Quantizes the layers of the frozen backbone, once for the same images. A packaging that follows finds them. */
export async function quantizeBackbone({
  images,
  cacheFolder,
}: NonNullable<TrainJob['quantizeAhead']>): Promise<Uint8Array> {
  return cachedLayers(cacheFolder, images, async () => {
    const { operations, weights } = await loadBackbone();
    return quantizeInThread({ operations, weights, images });
  });
}

/** An exported network to quantize. */
export interface NetworkToQuantize {
  job: PackageJob;
  rows: LabelledRows;
  scores: Scores;
  network: TrainedNetwork;
  /** Already folded into the network; the logits of `scores` are still to be divided by it. */
  temperature: number;
  quantizedLayers: Promise<QuantizedLayers>;
}

/**
 * Writes `quantization.json`, and `model-int8.onnx` if the int8 network passes its checks. A version can be served
 * without it, so errors go into the report and do not fail the job.
 */
export async function quantizeModel(subject: NetworkToQuantize): Promise<Quantized> {
  const quantized = await tryQuantizing(subject).catch((error: unknown): Quantized => ({
    report: { ...emptyReport, reasons: [`Failed: ${messageOf(error)}`] },
    int8: null,
  }));
  const report = writeJson(quantizationSchema, quantized.report);
  await writeFile(join(subject.job.outputFolder, bundleFiles.quantization), report);
  return quantized;
}

const emptyReport: Quantization = {
  rangeImages: 0,
  images: 0,
  fp32Accuracy: 0,
  int8Accuracy: 0,
  agreement: 0,
  meanAbsoluteDifference: 0,
  maxAbsoluteDifference: 0,
  sizeBytes: 0,
  passed: false,
  reasons: [],
};

async function tryQuantizing(subject: NetworkToQuantize): Promise<Quantized> {
  const { job, rows, scores, temperature } = subject;
  const { operations, weights } = subject.network;
  const { rangeImages, judged, layers } = await subject.quantizedLayers;
  const model = addClassifierTo(layers, operations, weights);
  const answers = await predictInt8(model, judged);
  const rowOf = new Map(rows.sha256s.map((sha256, row) => [sha256, row]));
  const judgedRows = judged.map(({ sha256 }) => rowOf.get(sha256) ?? -1);
  const report: Quantization = {
    rangeImages,
    ...judgeQuantization(
      // The fp32 outputs of ONNX Runtime are the same within the parity tolerance checked before.
      judgedRows.map((row) => softmax(scores.logits[row] ?? [], temperature)),
      answers.probabilities,
      judgedRows.map((row) => rows.truths[row] ?? -1),
    ),
    sizeBytes: model.length,
  };
  if (!report.passed) return { report, int8: null };
  await writeFile(join(job.outputFolder, bundleFiles.onnxInt8), model);
  return { report, int8: { rows: judgedRows, features: answers.features, probe: answers.probe } };
}

function imagesAtHand(job: PackageJob, sha256s: readonly string[]): ImageFile[] {
  const bySha256 = new Map(job.images.map((image) => [image.sha256, image]));
  return sha256s.flatMap((sha256) => bySha256.get(sha256) ?? []);
}

function predictInt8(model: Uint8Array, images: readonly ImageFile[]): Promise<OnnxAnswers & { probe: number[][] }> {
  return withOnnx(model, async (predict) => {
    const answers: OnnxAnswers = { probabilities: [], features: [] };
    for await (const { pixels, images: batch } of decodeBatches(images, batchSize)) {
      const { probabilities, features } = await predict(pixels, batch.length);
      answers.probabilities.push(...probabilities);
      answers.features.push(...features);
    }
    const { probabilities: probe } = await predict(probePixels(), probeImages);
    return { ...answers, probe };
  });
}
