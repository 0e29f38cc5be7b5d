import type { Quantization } from '../../contracts/registry/bundle.js';
import { snakeShape, toSnake } from '../../contracts/http/snake-shape.js';
import { snakeCase } from '../../contracts/http/spelling.js';
import {
  hyperparametersSchema,
  type Evaluation,
  type Interval,
  type ModelMetrics,
} from '../../contracts/training/training.js';
import type { PackageJob } from '../jobs.js';
import { describeConfidence } from './describe-confidence.js';
import { describeQuantization } from './describe-quantization.js';
import type { Measured } from './measure-model.js';
import type { LabelledRows } from '../training/labelled-rows.js';

const hyperparametersBodySchema = snakeShape(hyperparametersSchema);

/** The model card: what a model is, how good it is, and its limits. Markdown. */
export function writeModelCard(
  job: PackageJob,
  rows: LabelledRows,
  { metrics, calibration, quantization }: Measured & { quantization: Quantization },
): string {
  return [
    `# ${job.modelName}`,
    '',
    `Classifies photographs as ${job.labels.map((label) => `"${plain(label)}"`).join(', ')}. ${describeArchitecture(job)}`,
    '',
    '## How good it is',
    '',
    ...describeQuality(metrics),
    '',
    '## What its confidence means',
    '',
    ...describeConfidence(calibration),
    '',
    '## In 8 bits',
    '',
    ...describeQuantization(quantization),
    '',
    '## Data',
    '',
    `Dataset \`${job.dataset}\`, version ${job.datasetVersion} (digest \`${job.datasetDigest}\`):`,
    `${rows.splits.train.length} images for training, ${rows.splits.validation.length} for validation, ${rows.splits.test.length} for the test.`,
    '',
    ...imagesTable(job, rows),
    '',
    'Labels come from the dataset; wrong labels in it count as errors here.',
    '',
    '## Training',
    '',
    `${metrics.epochs.length} epochs; weights of epoch ${metrics.bestEpoch}, counted from 0 (lowest validation loss).`,
    `Run \`${job.runId}\`, code revision \`${job.codeRevision}\`. Hyperparameters:`,
    '',
    '```json',
    JSON.stringify(toSnake(hyperparametersBodySchema, job.hyperparameters), null, 2),
    '```',
    '',
    '## Limits',
    '',
    ...limits(metrics),
    '',
    '## Licences',
    '',
    ...licences(job),
    '',
  ].join('\n');
}

function describeQuality(metrics: ModelMetrics): string[] {
  return [
    `Measured on ${metrics.test.images} test images that had no part in training, early stopping or calibration;`,
    'in brackets the 95 % bootstrap interval.',
    '',
    ...measuresTable(metrics),
    '',
    ...classTable(metrics.test),
    '',
    ...describeCrossValidation(metrics),
  ];
}

function describeArchitecture({ hyperparameters }: PackageJob): string {
  if (hyperparameters.architecture === 'cnn') {
    return `A convolutional network of three blocks (${hyperparameters.filters.join(', ')} filters), trained from scratch.`;
  }
  const tuned = hyperparameters.fineTuneBlocks;
  return tuned === 0
    ? 'A linear classifier on the features of EfficientNet-Lite0 with frozen ImageNet weights.'
    : `EfficientNet-Lite0 with ImageNet weights, its last ${tuned} blocks fine-tuned, and a new classifier.`;
}

/** The metrics of a model as a table, those of the test split with their intervals. */
export function measuresTable({ test, validation }: ModelMetrics): string[] {
  const names = ['accuracy', 'precision', 'recall', 'f1', 'rocAuc', 'loss', 'calibrationError'] as const;
  const rows = names.map(
    (name) =>
      `| ${snakeCase(name)} | ${withInterval(test[name], test.intervals[name])} | ${validation[name].toFixed(3)} |`,
  );
  return ['| measure | test | validation |', '| --- | --- | --- |', ...rows];
}

function withInterval(value: number, [low, high]: Interval): string {
  return `${value.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}

/** The metrics of each class as a table. */
export function classTable({ perClass }: Evaluation): string[] {
  const rows = perClass.map(
    ({ label, precision, recall, f1, support }) =>
      `| ${plain(label)} | ${precision.toFixed(3)} | ${recall.toFixed(3)} | ${f1.toFixed(3)} | ${support} |`,
  );
  return ['| class | precision | recall | F1 | test images |', '| --- | --- | --- | --- | --- |', ...rows];
}

function imagesTable({ labels }: PackageJob, { splits, truths }: LabelledRows): string[] {
  const count = (members: readonly number[], label: number): number =>
    members.filter((row) => truths[row] === label).length;
  const rows = labels.map(
    (name, label) =>
      `| ${plain(name)} | ${count(splits.train, label)} | ${count(splits.validation, label)} | ${count(splits.test, label)} |`,
  );
  return ['| class | training | validation | test |', '| --- | --- | --- | --- |', ...rows];
}

function describeCrossValidation({ crossValidation }: ModelMetrics): string[] {
  if (!crossValidation) return [];
  const { folds, meanAccuracy, standardDeviation } = crossValidation;
  return [
    `Accuracy over ${folds} folds of the training and validation images: ${meanAccuracy.toFixed(3)} ± ${standardDeviation.toFixed(3)}.`,
  ];
}

/** Escapes text from users, so that nothing in it is Markdown or HTML. */
export function plain(label: string): string {
  return label.replace(/[\\`*_{}[\]<>()#|!&~@]/g, '\\$&').replace(/\b(www)\./gi, '$1\\.');
}

function limits({ test }: ModelMetrics): string[] {
  const [low, high] = test.intervals.accuracy;
  return [
    '- It knows only the classes above and answers with one of them for any image, even one that shows none of them.',
    '- Images are resized to 224×224 pixels without keeping their aspect ratio; small details are lost.',
    `- With ${test.images} test images the 95 % interval of the accuracy is ${low.toFixed(3)} to ${high.toFixed(3)}.`,
    '- It was measured on images from the same source as those it was trained on. Expect lower accuracy with other cameras, seasons or places.',
  ];
}

function licences({ hyperparameters }: PackageJob): string[] {
  const own = ['- Training images: under the terms of their source; this bundle holds none of them.'];
  if (hyperparameters.architecture === 'cnn') return own;
  return ["- Backbone weights: EfficientNet-Lite0, derived from Google's checkpoint, Apache-2.0.", ...own];
}
