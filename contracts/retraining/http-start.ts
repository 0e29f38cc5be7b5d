import { z } from 'zod';
import { nameSchema } from '../datasets/datasets.js';
import { sourceBodySchema } from '../datasets/http-source.js';
import { snakeShape } from '../http/snake-shape.js';
import { modelNameSchema } from '../registry/registry.js';
import { hyperparametersSchema } from '../training/training.js';

export const hyperparametersBodySchema = snakeShape(hyperparametersSchema).strict();

export const startRetrainingSchema = z
  .strictObject({
    model_name: modelNameSchema.optional(),
    dataset: nameSchema.optional(),
    source: sourceBodySchema.optional(),
    trigger: z.enum(['manual', 'first_run']).default('manual'),
    hyperparameters: hyperparametersBodySchema.prefault({}),
  })
  .meta({ id: 'StartRetraining' });
