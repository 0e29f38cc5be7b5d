import { z } from 'zod';
import { nameSchema, sourceSchema } from '../datasets/datasets.js';
import { modelNameSchema } from '../registry/registry.js';
import { hyperparametersSchema } from '../training/training.js';

export const startRetrainingSchema = z
  .strictObject({
    model_name: modelNameSchema.optional(),
    dataset: nameSchema.optional(),
    source: sourceSchema.optional(),
    trigger: z.enum(['manual', 'first_run']).default('manual'),
    hyperparameters: z
      .strictObject({
        architecture: hyperparametersSchema.shape.architecture,
        epochs: hyperparametersSchema.shape.epochs,
        batch_size: hyperparametersSchema.shape.batchSize,
        learning_rate: hyperparametersSchema.shape.learningRate,
        weight_decay: hyperparametersSchema.shape.weightDecay,
        early_stopping_patience: hyperparametersSchema.shape.earlyStoppingPatience,
        class_weights: hyperparametersSchema.shape.classWeights,
        seed: hyperparametersSchema.shape.seed,
        filters: hyperparametersSchema.shape.filters,
        fine_tune_blocks: hyperparametersSchema.shape.fineTuneBlocks,
      })
      .prefault({}),
  })
  .meta({ id: 'StartRetraining' });
