import type { z } from 'zod';
import { snakeShape } from '../http/snake-shape.js';
import { modelPolicySchema } from './policy.js';

/** A model's policy; what a request omits takes its default. */
export const policyBodySchema = snakeShape(modelPolicySchema).meta({ id: 'ModelPolicy' });
export type PolicyBody = z.output<typeof policyBodySchema>;
