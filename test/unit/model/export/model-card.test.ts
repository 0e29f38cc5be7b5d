import { hyperparametersSchema } from '../../../../contracts/training/training.js';
import { evaluate } from '../../../../model/evaluation/evaluate.js';
import { measureReliability } from '../../../../model/evaluation/reliability.js';
import { writeModelCard } from '../../../../model/export/model-card.js';
import type { PackageJob } from '../../../../model/jobs.js';

const labels = ['a|b', '<img src=x>'];
const probabilities = [
  [0.9, 0.1],
  [0.2, 0.8],
];
const truths = [0, 1];
const evaluation = evaluate({ probabilities, truths, labels, seed: 1 });
const job: PackageJob = {
  kind: 'package',
  modelName: 'flowers',
  runId: 'run-1',
  hyperparameters: hyperparametersSchema.parse({ architecture: 'cnn' }),
  labels,
  examples: [],
  featurePaths: [],
  images: [],
  checkpointPath: '',
  epochs: [],
  dataset: 'meadow',
  datasetVersion: 3,
  datasetDigest: 'digest',
  codeRevision: 'abc',
  cacheFolder: '',
  outputFolder: '',
};

describe('a model card', () => {
  const rows = { sha256s: [], truths: [], splits: { train: [0, 1, 2], validation: [3], test: [4, 5] } };
  const metrics = {
    temperature: 1.5,
    validation: evaluation,
    test: evaluation,
    uncalibratedTestCalibrationError: 0.25,
    crossValidation: null,
    epochs: [],
    bestEpoch: 0,
  };
  const reliability = measureReliability(probabilities, truths);
  const calibration = {
    temperature: 1.5,
    validation: reliability,
    test: reliability,
    uncalibratedTest: { ...reliability, calibrationError: 0.25 },
    riskImages: 40,
    riskCurve: [
      { threshold: 0.5, accepted: 40, wrong: 4 },
      { threshold: 0.85, accepted: 30, wrong: 1 },
    ],
  };
  const quantization = {
    rangeImages: 60,
    images: 45,
    fp32Accuracy: 0.956,
    int8Accuracy: 0.933,
    agreement: 0.978,
    meanAbsoluteDifference: 0.0123,
    maxAbsoluteDifference: 0.2,
    sizeBytes: 3_770_000,
    passed: true,
    reasons: [],
  };
  const card = writeModelCard(job, rows, { metrics, calibration, quantization });

  it('takes labels as text, whatever they hold', () => {
    expect(card).toContain('| a\\|b |');
    expect(card).not.toContain('<img src=x>');
    expect(card).toContain('\\<img src=x\\>');
  });

  it('gives each metric of the test split with its interval', () => {
    const [low, high] = evaluation.intervals.accuracy;
    expect(card).toContain(`| accuracy | 1.000 [${low.toFixed(3)}, ${high.toFixed(3)}] |`);
  });

  it('gives the risk at each confidence', () => {
    expect(card).toContain('from 0.250 to 0.150');
    expect(card).toContain('| 0.80 | 30 (75.0 %) | 1 (3.3 %) |');
    expect(card).toContain('| 0.90 | 0 (0.0 %) | 0 |');
  });

  it('says what 8 bits cost, or why there are none', () => {
    for (const part of [
      '(3.8 MB)',
      '60 training images',
      '45 validation images',
      '0.933',
      '0.956',
      '0.978',
      '0.0123',
    ]) {
      expect(card).toContain(part);
    }
    const refused = { ...quantization, passed: false, reasons: ['Passed: much.', 'Failed: not alike.'] };
    const without = writeModelCard(job, rows, { metrics, calibration, quantization: refused });
    expect(without).toContain('served in 32 bits');
    expect(without).toContain('- Failed: not alike.');
    expect(without).not.toContain('Passed');
  });

  it('spells hyperparameters and measures as the API does, and counts epochs as its steps', () => {
    for (const part of ['"batch_size": 32', '"learning_rate"', '| roc_auc |', 'epoch 0, counted from 0']) {
      expect(card).toContain(part);
    }
    expect(card).not.toMatch(/"?[a-z]+[A-Z][a-z]*"?: /);
  });

  it('names what the model was made of', () => {
    for (const part of ['16, 32, 64 filters', 'version 3', '3 images for training', '"seed": 42', 'revision `abc`']) {
      expect(card).toContain(part);
    }
  });
});
