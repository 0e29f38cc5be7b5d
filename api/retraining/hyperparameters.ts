import type { z } from 'zod';
import type { startRetrainingSchema } from '../../contracts/retraining/http-start.js';
import type { Hyperparameters } from '../../contracts/training/training.js';

export type HyperparametersBody = z.output<typeof startRetrainingSchema>['hyperparameters'];

/** Hyperparameters as a body spells them. */
export function hyperparametersOf(body: HyperparametersBody): Hyperparameters {
  return {
    architecture: body.architecture,
    epochs: body.epochs,
    batchSize: body.batch_size,
    learningRate: body.learning_rate,
    weightDecay: body.weight_decay,
    earlyStoppingPatience: body.early_stopping_patience,
    classWeights: body.class_weights,
    seed: body.seed,
    filters: body.filters,
    fineTuneBlocks: body.fine_tune_blocks,
  };
}
