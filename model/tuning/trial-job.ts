import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EpochMetrics } from '../../contracts/training/training.js';
import type { TrialProgress } from '../../contracts/experiments/tuning.js';
import type { readFeatures } from '../features/feature-file.js';
import type { TrialJob } from '../jobs.js';
import { validateOnRows } from '../training/epoch.js';
import { fingerprintOf } from '../training/fingerprint.js';
import { fit, writeVariables } from '../training/fit.js';
import { classWeightsOf, countLabels, orderExamples } from '../training/labelled-rows.js';
import { createTrainable } from '../training/train-job.js';

/**
 * Trains a trial to the next rung of its search and scores its best weights on the validation split; the test split is
 * not used. It resumes from the last checkpoint in its folder. When the folder is empty, because another worker or a
 * crashed trainer had the trial before, it trains from the start: that gives the same numbers and costs only time, so
 * the object store keeps no state of trials. (When a third of the trials continue at each rung, always training from
 * the start would cost a quarter more epochs: nothing for a classifier on features, many minutes for a network on
 * images.)
 */
export async function runTrial(job: TrialJob, read: typeof readFeatures): Promise<TrialProgress> {
  const startedAt = performance.now();
  await mkdir(job.outputFolder, { recursive: true });
  const rows = orderExamples(job.examples, job.labels);
  const { truths, splits } = rows;
  const { classWeights, batchSize } = job.hyperparameters;
  const counts = countLabels(truths, splits.train, job.labels.length);
  const trained: EpochMetrics[] = [];
  const trainable = await createTrainable(job, rows, read);
  try {
    const { checkpoint, checkpointPath } = await fit({
      trainable,
      hyperparameters: job.hyperparameters,
      loss: { truths, classWeights: classWeightsOf(counts, classWeights) },
      rows: splits,
      fingerprint: fingerprintOf(job),
      checkpointPath: (await checkpointsIn(job.outputFolder)).at(-1) ?? null,
      outputFolder: job.outputFolder,
      pauseAfter: job.pauseAfter,
      onEpoch: ({ metrics }) => Promise.resolve(void trained.push(metrics)),
    });
    const older = (await checkpointsIn(job.outputFolder)).filter((path) => path !== checkpointPath);
    await Promise.all(older.map((path) => rm(path, { force: true })));
    writeVariables(trainable, checkpoint.bestWeights);
    // Trials with and without class weights are only comparable by an unweighted loss.
    const loss = { truths, classWeights: classWeightsOf(counts, false) };
    const score = await validateOnRows({ trainable, loss, rows: splits.validation, batchSize });
    return {
      epochs: checkpoint.epoch + 1,
      bestEpoch: checkpoint.bestEpoch,
      ...score,
      trained,
      durationMs: performance.now() - startedAt,
    };
  } finally {
    await trainable.dispose();
  }
}

/** Checkpoints in the order of their epochs. */
async function checkpointsIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.ckpt'));
  return names.sort().map((name) => join(folder, name));
}
