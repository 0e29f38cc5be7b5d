import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { FittingDependencies } from '../../activities/training/dependencies.js';
import { extractFeatures } from '../../activities/training/features.js';
import { fitModel, type FitResult } from '../../activities/training/fit.js';
import { createTrainerPool } from '../../activities/training/trainer-pool.js';
import { errorCodeOf } from '../../contracts/errors.js';
import type { TrainingInput } from '../../contracts/training/training-pipeline.js';
import { hyperparametersSchema } from '../../contracts/training/training.js';
import { createLogger } from '../../platform/logging.js';
import { createFeatureStore } from '../../stores/features/features.js';
import { createRegistryStore } from '../../stores/registry/registry.js';
import { createRunStore } from '../../stores/experiments/runs.js';
import { createChaos } from '../support/chaos.js';
import { drawnImages } from '../support/drawn-images.js';
import { startIngestionFixture, type IngestionFixture } from '../support/ingestion-fixture.js';
import { trainerOf } from '../support/trainer-process.js';

const kills = 10;
const imagesPerClass = 8;
const chaos = createChaos();
const scratch = mkdtempSync(join(tmpdir(), 'perennial-test-kills-'));
let fixture: IngestionFixture;
let deps: FittingDependencies;

beforeAll(async () => {
  fixture = await startIngestionFixture();
  const { db } = fixture.database;
  await fixture.ingest({ kind: 'folder', path: fixture.folder(await drawnImages(imagesPerClass)) });
  const logger = createLogger('test', 'silent');
  deps = {
    datasets: fixture.datasets,
    features: createFeatureStore(db),
    runs: createRunStore(db),
    registry: createRegistryStore(db),
    objects: fixture.deps.objects,
    scratchFolder: scratch,
    bundleFolder: join(scratch, 'bundles'),
    codeRevision: 'test',
    logger,
    trainers: createTrainerPool(logger),
  };
}, 60_000);
afterAll(async () => {
  await deps.trainers.close();
  await fixture.stop();
  rmSync(scratch, { recursive: true, force: true });
});

/** The activity as the training worker runs it, as this attempt of Temporal's. */
function inWorker<T>(attempt: number, activity: () => Promise<T>): Promise<T> {
  return new MockActivityEnvironment({ attempt }, { logger: new DefaultLogger('ERROR') }).run(activity);
}

interface Training {
  result: FitResult;
  /** Epochs in the order in which they were committed. */
  committed: number[];
  killed: number;
  durationMs: number;
}

/** Trains to the end; each of the first `mostKills` attempts is killed after a random time. */
async function train(hyperparameters: object, mostKills: number, longestMs: number): Promise<Training> {
  const input = newTraining(hyperparameters);
  const committed: number[] = [];
  const runs: FittingDependencies['runs'] = {
    ...deps.runs,
    recordEpoch: async (runId, attempt, metrics, checkpoint) => {
      await deps.runs.recordEpoch(runId, attempt, metrics, checkpoint);
      committed.push(metrics.epoch);
    },
  };
  const startedAt = performance.now();
  for (let killed = 0; ; killed += 1) {
    const disturbance = killed < mostKills ? killLater(chaos.between(0, longestMs)) : null;
    try {
      const result = await inWorker(killed + 1, () => fitModel({ ...deps, runs }, input));
      return { result, committed, killed, durationMs: performance.now() - startedAt };
    } catch (error) {
      if (errorCodeOf(error) !== 'trainer_died') throw error;
    } finally {
      disturbance?.abort();
    }
  }
}

function newTraining(hyperparameters: object): TrainingInput {
  return {
    modelName: 'rose',
    dataset: 'flowers',
    datasetVersion: 1,
    hyperparameters: hyperparametersSchema.parse(hyperparameters),
    runId: randomUUID(),
  };
}

/** Kills the trainer of this process after that delay, unless the attempt has ended by then. */
function killLater(afterMs: number): AbortController {
  const over = new AbortController();
  const strike = async (): Promise<void> => {
    const pid = await trainerOf(process.pid);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    if (!over.signal.aborted) process.kill(pid, 'SIGKILL');
  };
  // The trainer may have finished before it was found.
  strike().catch(() => undefined);
  return over;
}

describe(`trainings whose trainer is killed at random moments (CHAOS_SEED=${String(chaos.seed)})`, () => {
  const small = { epochs: 5, earlyStoppingPatience: 5, batchSize: 4 };

  it.each([
    ['the head on features', { ...small, architecture: 'efficientnet-lite0', epochs: 8, earlyStoppingPatience: 8 }],
    ['the cnn', { ...small, architecture: 'cnn', filters: [2, 2, 2] }],
  ])(
    `%s: after ${String(kills)} kills the weights are those of an undisturbed training, and no epoch was lost`,
    async (_what, hyperparameters) => {
      if (hyperparameters.architecture !== 'cnn')
        await inWorker(1, () => extractFeatures(deps, newTraining(hyperparameters)));
      const undisturbed = await train(hyperparameters, 0, 0);
      const everyEpoch = undisturbed.committed;
      expect(everyEpoch).toEqual(Array.from({ length: undisturbed.result.epochs }, (_, epoch) => epoch));
      for (let left = kills; left > 0;) {
        const disturbed = await train(hyperparameters, left, undisturbed.durationMs);
        left -= disturbed.killed;
        expect(disturbed.result).toEqual(undisturbed.result);
        // Committed epochs are never trained again: a kill costs only the current epoch.
        expect(disturbed.committed).toEqual(everyEpoch);
      }
    },
    120_000,
  );
});
