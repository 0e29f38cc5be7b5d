import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  bundleFiles,
  currentPreprocessing,
  driftReferenceSchema,
  labelsSchema,
  preprocessingSchema,
  type Manifest,
  type Preprocessing,
} from '../../contracts/registry/bundle.js';
import type { z } from 'zod';
import type { Example } from '../../contracts/datasets/datasets.js';
import type { ImportInput, ImportOrder } from '../../contracts/registry/import.js';
import type { RegisteredVersion } from '../../contracts/registry/registry.js';
import {
  inputSize,
  modelMetricsSchema,
  type Evaluation,
  type ModelMetrics,
} from '../../contracts/training/training.js';
import { drawConfusionMatrix } from '../../model/charts/confusion-matrix.js';
import { evaluate } from '../../model/evaluation/evaluate.js';
import { writeManifest } from '../../model/export/manifest.js';
import { writeImportCard } from '../../model/import/model-card.js';
import { createEngine } from '../../model/serving/engine.js';
import { writeJson } from '../../platform/validation/json-file.js';
import { publishBundle, type BundleAddress } from '../../stores/registry/bundles.js';
import { checkedModelKey } from '../../stores/objects/object-keys.js';
import { withHeartbeat } from '../runtime/heartbeat.js';
import { withScratchFolder } from '../runtime/scratch.js';
import { predictExamples } from '../validation/serve-test-images.js';
import type { ImportDependencies } from './dependencies.js';
import { checkedGraphName, judgedImages, readChecked, readOrder, type Checked } from './upload.js';

export interface EvaluateResult {
  bundle: BundleAddress;
  images: number;
  accuracy: number;
}

/** Files of a bundle that serving needs; the others describe it. */
const servedFiles = [bundleFiles.onnx, bundleFiles.labels, bundleFiles.preprocessing];
const describingFiles = [
  bundleFiles.metrics,
  bundleFiles.driftReference,
  bundleFiles.modelCard,
  bundleFiles.confusionMatrix,
];

/**
 * Evaluates a checked model with the serving engine and publishes a bundle of it. The key of the bundle is derived from
 * its content, so that another attempt changes nothing.
 */
export function evaluateUpload(
  deps: ImportDependencies,
  input: ImportInput & { runId: string },
): Promise<EvaluateResult> {
  return withHeartbeat((report) =>
    withScratchFolder(deps.scratchFolder, async (scratch) => {
      const order = await readOrder(deps.objects, input);
      const checked = await readChecked(deps.objects, input);
      const folder = join(scratch, 'bundle');
      await mkdir(folder);
      await deps.objects.getToFile(checkedModelKey(input.uploadId, checkedGraphName), join(folder, bundleFiles.onnx));
      await write(folder, bundleFiles.labels, writeJson(labelsSchema, checked.labels));
      await write(folder, bundleFiles.preprocessing, writeJson(preprocessingSchema, preprocessingOf(order)));
      const { digest } = await deps.datasets.version(order.dataset, checked.datasetVersion);
      const facts = factsOf(input.runId, order, checked, digest, deps.codeRevision);
      await writeManifest(folder, facts, servedFiles);
      report({ evaluating: order.modelName });
      const { test, validation, shares, images } = await measure(deps, folder, order, checked);
      const metrics = metricsOf(test, validation);
      const reference = { ...noFeatures, images, classShares: shares };
      await write(folder, bundleFiles.metrics, writeJson(modelMetricsSchema, metrics));
      await write(folder, bundleFiles.driftReference, writeJson(driftReferenceSchema, reference));
      const card = writeImportCard({ order, reported: await reportedOf(deps, order), checked, metrics, digest });
      await write(folder, bundleFiles.modelCard, card);
      await write(folder, bundleFiles.confusionMatrix, drawConfusionMatrix(test.confusionMatrix, checked.labels));
      await writeManifest(folder, facts, [...servedFiles, ...describingFiles]);
      const bundle = await publishBundle(deps.objects, folder, order.modelName);
      return { bundle, images: test.images, accuracy: test.accuracy };
    }),
  );
}

/** The version that gets this file; null if the import makes a new one. */
async function reportedOf(
  { registry }: ImportDependencies,
  { modelName, fills }: ImportOrder,
): Promise<RegisteredVersion | null> {
  return fills === null ? null : registry.resolveAny(modelName, String(fills));
}

function write(folder: string, name: string, text: string): Promise<void> {
  return writeFile(join(folder, name), text);
}

function factsOf(
  runId: string,
  order: ImportOrder,
  checked: Checked,
  datasetDigest: string,
  codeRevision: string,
): Omit<Manifest, 'format' | 'files'> {
  return {
    modelName: order.modelName,
    runId,
    architecture: 'external',
    hyperparameters: null,
    labels: checked.labels,
    dataset: order.dataset,
    datasetVersion: checked.datasetVersion,
    datasetDigest,
    weightsSha256: checked.sha256,
    codeRevision,
    parityMaxAbsoluteError: checked.parityMaxAbsoluteError,
  };
}

/** Without a given scaling the graph scales the pixels itself. */
function preprocessingOf({ scaling }: ImportOrder): Preprocessing {
  const { mean, std } = scaling ?? { mean: 0, std: 1 };
  const size = { width: inputSize, height: inputSize };
  return { version: currentPreprocessing, ...size, colour: 'RGB', layout: 'NHWC', resize: 'fill', mean, std };
}

/** The engine returns no features for an imported model, so there are no reference features. */
const noFeatures: Pick<z.infer<typeof driftReferenceSchema>, 'featureMean' | 'featureStandardDeviation'> = {
  featureMean: [],
  featureStandardDeviation: [],
};

interface Measured {
  test: Evaluation;
  validation: Evaluation | null;
  /** Share of each class among the predictions. */
  shares: Record<string, number>;
  /** Number of predictions. */
  images: number;
}

/** Evaluates both held-out splits with the serving engine. An imported model may have been trained on either. */
async function measure(
  deps: ImportDependencies,
  bundleFolder: string,
  { dataset }: ImportOrder,
  { labels, datasetVersion }: Checked,
): Promise<Measured> {
  const { threads, imageLimits: limits } = deps;
  const examples = await deps.datasets.examples(dataset, datasetVersion);
  const heldOut = [judgedImages(examples, 'test', labels), judgedImages(examples, 'validation', labels)] as const;
  const engine = await createEngine({ bundleFolder, threads, queueLimit: threads * 4, limits });
  try {
    const [testRows, validationRows] = [
      await predictExamples(deps, engine, heldOut[0]),
      await predictExamples(deps, engine, heldOut[1]),
    ];
    const predicted = [...testRows, ...validationRows].map((row) => row.indexOf(Math.max(...row)));
    return {
      test: judge(testRows, heldOut[0], labels),
      validation: heldOut[1].length === 0 ? null : judge(validationRows, heldOut[1], labels),
      images: predicted.length,
      shares: Object.fromEntries(
        labels.map((label, at) => [label, predicted.filter((one) => one === at).length / predicted.length]),
      ),
    };
  } finally {
    await engine.close();
  }
}

const seed = 1;

function judge(probabilities: number[][], images: readonly Example[], labels: readonly string[]): Evaluation {
  return evaluate({ probabilities, truths: images.map(({ label }) => labels.indexOf(label)), labels, seed });
}

/** The confidence is not calibrated: temperature 1. */
function metricsOf(test: Evaluation, validation: Evaluation | null): ModelMetrics {
  return {
    temperature: 1,
    validation: validation ?? test,
    test,
    uncalibratedTestCalibrationError: test.calibrationError,
    crossValidation: null,
    epochs: [],
    bestEpoch: 0,
  };
}
