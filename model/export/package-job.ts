import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  bundleFiles,
  calibrationSchema,
  driftReferenceSchema,
  labelsSchema,
  preprocessingSchema,
  type Quantization,
} from '../../contracts/registry/bundle.js';
import { PerennialError } from '../../contracts/errors.js';
import { modelMetricsSchema } from '../../contracts/training/training.js';
import { writeJson } from '../../platform/validation/json-file.js';
import { backboneFeatures, usesStoredFeatures } from '../architectures/backbone-digest.js';
import { preprocessing } from '../architectures/network.js';
import { assembleNetwork, calibrateNetwork, type TrainedNetwork } from '../architectures/trained-network.js';
import { drawConfusionMatrix } from '../charts/confusion-matrix.js';
import { drawCurves } from '../charts/curves.js';
import { drawReliability } from '../charts/reliability.js';
import type { JobEvents, ModelJobResults, PackageJob } from '../jobs.js';
import { probeImages, probePixels, writeProbe } from '../serving/probe.js';
import { readCheckpoint, weightsDigest, type Checkpoint } from '../training/checkpoint.js';
import { fingerprintOf } from '../training/fingerprint.js';
import { orderExamples, type LabelledRows } from '../training/labelled-rows.js';
import { describeReference } from './drift-reference.js';
import { openFeatureMemo } from './feature-memo.js';
import { writeManifest } from './manifest.js';
import { measureModel, type Measured } from './measure-model.js';
import { writeModelCard } from './model-card.js';
import { encodeOnnx } from './onnx-graph.js';
import { drawParitySample } from './parity-sample.js';
import { checkParity, type ParitySample } from './parity.js';
import { quantizeLayers, quantizeModel, type QuantizedLayers } from './quantize.js';
import { writeReferences } from './references.js';
import { scoreExamples, type Scores } from './score.js';
import { withTfjsModel, writeTfjsModel, type PredictTfjs } from './tfjs-files.js';

/**
 * Makes a bundle from a finished training: calibrates, measures, exports, compares the exports, and writes the manifest
 * last. A failure leaves a folder without a manifest, which is not a bundle.
 * @throws PerennialError checkpoint_invalid, parity_failed
 */
export async function packageModel(job: PackageJob, events: JobEvents): Promise<ModelJobResults['package']> {
  const rows = orderExamples(job.examples, job.labels);
  const checkpoint = await readOwnCheckpoint(job);
  const network = await assembleNetwork(job.hyperparameters.architecture, checkpoint.bestWeights);
  const quantizedLayers = quantizeLayers(job, network);
  // Awaited later: an early rejection without a handler would end the process. The quantization report gives the
  // reason.
  quantizedLayers.catch(() => undefined);
  try {
    return await makeBundle(job, { rows, checkpoint, network, quantizedLayers }, events);
  } finally {
    // Wait for its thread even when another step fails.
    await quantizedLayers.catch(() => undefined);
  }
}

interface Packaging {
  rows: LabelledRows;
  checkpoint: Checkpoint;
  network: TrainedNetwork;
  quantizedLayers: Promise<QuantizedLayers>;
}

async function makeBundle(
  job: PackageJob,
  { rows, checkpoint, network, quantizedLayers }: Packaging,
  events: JobEvents,
): Promise<ModelJobResults['package']> {
  const scores = await scoreExamples(job, network, rows.sha256s, events);
  const measured = await measureModel(job, rows, scores, checkpoint);
  const { metrics } = measured;
  const { temperature } = metrics;
  await mkdir(job.outputFolder, { recursive: true });
  const calibrated = calibrateNetwork(network, temperature);
  await writeModels(job, calibrated);
  const { parityMaxAbsoluteError, probe } = await runSourceModel(job, await drawParitySample(job, rows, scores));
  const quantizing = { job, rows, scores, network: calibrated, temperature, quantizedLayers };
  const { report, int8 } = await quantizeModel(quantizing);
  await writeDescriptions(job, rows, scores, { ...measured, quantization: report });
  await writeReferences(job, rows, scores, int8);
  await writeProbe(job.outputFolder, probe, int8?.probe);
  const manifest = await writeManifest(job.outputFolder, {
    modelName: job.modelName,
    runId: job.runId,
    architecture: job.hyperparameters.architecture,
    hyperparameters: job.hyperparameters,
    labels: job.labels,
    dataset: job.dataset,
    datasetVersion: job.datasetVersion,
    datasetDigest: job.datasetDigest,
    weightsSha256: weightsDigest(checkpoint.bestWeights),
    codeRevision: job.codeRevision,
    parityMaxAbsoluteError,
  });
  return { manifest, metrics };
}

/**
 * Compares the ONNX export with the TF.js model and computes the expected probe answers with the latter: every engine
 * that serves the export must reproduce them.
 */
async function runSourceModel(
  { outputFolder, labels, hyperparameters, cacheFolder }: PackageJob,
  sample: ParitySample,
): Promise<{ parityMaxAbsoluteError: number; probe: number[][] }> {
  const memo = usesStoredFeatures(hyperparameters)
    ? await openFeatureMemo(outputFolder, classifierBytes(labels.length), cacheFolder)
    : undefined;
  const run = async (predict: PredictTfjs): Promise<{ parityMaxAbsoluteError: number; probe: number[][] }> => {
    const parityMaxAbsoluteError = await checkParity(outputFolder, sample, predict);
    const probabilities = [...predict(probePixels(), probeImages).probabilities];
    const probe = Array.from({ length: probeImages }, (_, image) =>
      probabilities.slice(image * labels.length, (image + 1) * labels.length),
    );
    return { parityMaxAbsoluteError, probe };
  };
  const answers = await withTfjsModel(outputFolder, run, memo);
  await memo?.save();
  return answers;
}

/** Kernel and bias of a classifier of the backbone's features: the last weights in the file of a layers model. */
function classifierBytes(classes: number): number {
  return (backboneFeatures + 1) * classes * Float32Array.BYTES_PER_ELEMENT;
}

async function readOwnCheckpoint(job: PackageJob): Promise<Checkpoint> {
  const checkpoint = await readCheckpoint(job.checkpointPath);
  if (checkpoint.fingerprint === fingerprintOf(job)) return checkpoint;
  throw new PerennialError(
    'checkpoint_invalid',
    `${job.checkpointPath} belongs to a training with other hyperparameters, images or preprocessing; package that one, or train again.`,
  );
}

async function writeDescriptions(
  job: PackageJob,
  rows: LabelledRows,
  scores: Scores,
  { metrics, calibration, quantization }: Measured & { quantization: Quantization },
): Promise<void> {
  const write = (name: string, text: string): Promise<void> => writeFile(join(job.outputFolder, name), text);
  await write(bundleFiles.labels, writeJson(labelsSchema, job.labels));
  await write(bundleFiles.preprocessing, writeJson(preprocessingSchema, preprocessing));
  await write(bundleFiles.metrics, writeJson(modelMetricsSchema, metrics));
  await write(bundleFiles.driftReference, writeJson(driftReferenceSchema, describeReference(scores, job.labels)));
  await write(bundleFiles.modelCard, writeModelCard(job, rows, { metrics, calibration, quantization }));
  await write(bundleFiles.calibration, writeJson(calibrationSchema, calibration));
  await write(bundleFiles.reliability, drawReliability(calibration));
  await write(bundleFiles.curves, drawCurves(metrics.epochs, metrics.bestEpoch));
  await write(bundleFiles.confusionMatrix, drawConfusionMatrix(metrics.test.confusionMatrix, job.labels));
}

async function writeModels(job: PackageJob, { operations, weights }: TrainedNetwork): Promise<void> {
  await writeTfjsModel(job.outputFolder, operations, weights);
  await writeFile(join(job.outputFolder, bundleFiles.onnx), encodeOnnx(operations, weights));
}
