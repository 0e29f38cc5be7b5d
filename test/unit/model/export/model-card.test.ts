import { hyperparametersSchema } from '../../../../contracts/training.js';
import { evaluate } from '../../../../model/evaluation/evaluate.js';
import { writeModelCard } from '../../../../model/export/model-card.js';
import type { PackageJob } from '../../../../model/jobs.js';

const labels = ['a|b', '<img src=x>'];
const evaluation = evaluate({
  probabilities: [
    [0.9, 0.1],
    [0.2, 0.8],
  ],
  truths: [0, 1],
  labels,
  seed: 1,
});
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
  outputFolder: '',
};

describe('a model card', () => {
  const rows = { sha256s: [], truths: [], sides: { train: [0, 1, 2], validation: [3], test: [4, 5] } };
  const metrics = {
    temperature: 1.5,
    validation: evaluation,
    test: evaluation,
    uncalibratedTestCalibrationError: 0.25,
    crossValidation: null,
    epochs: [],
    bestEpoch: 0,
  };
  const card = writeModelCard(job, rows, metrics);

  it('takes labels as text, whatever they hold', () => {
    expect(card).toContain('| a\\|b |');
    expect(card).not.toContain('<img src=x>');
    expect(card).toContain('\\<img src=x\\>');
  });

  it('gives each figure of the test side with its interval', () => {
    const [low, high] = evaluation.intervals.accuracy;
    expect(card).toContain(`| accuracy | 1.000 [${low.toFixed(3)}, ${high.toFixed(3)}] |`);
  });

  it('names what the model was made of', () => {
    for (const part of ['16, 32, 64 filters', 'version 3', '3 images for training', '"seed": 42', 'revision `abc`']) {
      expect(card).toContain(part);
    }
  });
});
