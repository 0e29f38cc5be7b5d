import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { z } from 'zod';
import {
  currentPreprocessing,
  bundleFiles,
  currentBundleFormat,
  driftReferenceSchema,
  manifestSchema,
  type Manifest,
} from '../../contracts/registry/bundle.js';
import { inputSize, modelMetricsSchema, type ModelMetrics } from '../../contracts/training/training.js';
import { evaluate } from '../../model/evaluation/evaluate.js';
import { writeJson } from '../../platform/validation/json-file.js';
import { tinyGraph } from './tiny-graph.js';

export interface TinyBundleOptions {
  /** Two or more; by default dandelion and grass, which it distinguishes by how red the image is. */
  labels?: readonly string[];
  /** Added to the first label's logit: two bundles of different bias answer differently. */
  bias?: number;
  modelName?: string;
  runId?: string;
  /** Replaces the default graph, which classifies by the mean colour. */
  graph?: Uint8Array;
  /** Files beside those that every bundle has. */
  files?: Readonly<Record<string, string | Uint8Array>>;
}

/** Writes a complete bundle of a few kilobytes whose model looks at the mean colour only. */
export async function writeTinyBundle(folder: string, options: TinyBundleOptions = {}): Promise<Manifest> {
  const labels = [...(options.labels ?? ['dandelion', 'grass'])];
  const onnx = options.graph ?? tinyGraph(labels.length, options.bias ?? 0);
  const files: Record<string, string | Uint8Array> = {
    [bundleFiles.onnx]: onnx,
    [bundleFiles.labels]: JSON.stringify(labels),
    [bundleFiles.preprocessing]: JSON.stringify(preprocessing),
    [bundleFiles.metrics]: writeJson(modelMetricsSchema, tinyMetrics(labels)),
    [bundleFiles.driftReference]: writeJson(driftReferenceSchema, driftReference(labels)),
    [bundleFiles.modelCard]: '# A tiny model for tests\n',
    [bundleFiles.tfjsModel]: '{}',
    [bundleFiles.tfjsWeights]: new Uint8Array(4),
    [bundleFiles.curves]: '<svg xmlns="http://www.w3.org/2000/svg"/>',
    [bundleFiles.confusionMatrix]: '<svg xmlns="http://www.w3.org/2000/svg"/>',
    ...options.files,
  };
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  const manifest = manifestSchema.parse({
    format: currentBundleFormat,
    modelName: options.modelName ?? 'dandelion_grass_classifier',
    runId: options.runId ?? 'tiny-run',
    architecture: 'cnn',
    hyperparameters: { architecture: 'cnn', epochs: 1, batchSize: 1, learningRate: 0.1 },
    labels,
    dataset: 'dandelion_grass',
    datasetVersion: 1,
    datasetDigest: 'd'.repeat(64),
    weightsSha256: sha256(onnx),
    codeRevision: 'test',
    parityMaxAbsoluteError: 0,
    files: Object.entries(files).map(([path, content]) => ({
      path,
      sizeBytes: Buffer.byteLength(content),
      sha256: sha256(content),
    })),
  });
  await writeFile(join(folder, bundleFiles.manifest), writeJson(manifestSchema, manifest));
  return manifest;
}

/** Flips one bit in the middle of a bundle's file, as a bad disk would. */
export async function flipByte(folder: string, path: string): Promise<void> {
  const bytes = await readFile(join(folder, path));
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await writeFile(join(folder, path), bytes);
}

const preprocessing = {
  version: currentPreprocessing,
  width: inputSize,
  height: inputSize,
  colour: 'RGB',
  layout: 'NHWC',
  resize: 'fill',
  mean: 0,
  std: 255,
};

function driftReference(labels: readonly string[]): z.input<typeof driftReferenceSchema> {
  return {
    images: labels.length,
    classShares: Object.fromEntries(labels.map((label) => [label, 1 / labels.length])),
    featureMean: [0.4, 0.5, 0.2],
    featureStandardDeviation: [0.1, 0.1, 0.1],
  };
}

function tinyMetrics(labels: readonly string[]): ModelMetrics {
  const truths = labels.map((_, index) => index);
  const probabilities = truths.map((truth) => truths.map((label) => (label === truth ? 1 : 0)));
  const evaluation = evaluate({ probabilities, truths, labels, seed: 1 });
  return modelMetricsSchema.parse({
    temperature: 1,
    validation: evaluation,
    test: evaluation,
    uncalibratedTestCalibrationError: 0,
    crossValidation: null,
    epochs: [{ epoch: 0, trainLoss: 0.1, trainAccuracy: 1, validationLoss: 0.1, validationAccuracy: 1, durationMs: 1 }],
    bestEpoch: 0,
  });
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
