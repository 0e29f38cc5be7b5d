import { z } from 'zod';
import type { Actor } from '../audit/audit.js';
import type { Decision } from '../registry/registry.js';

export interface ValidationInput {
  modelName: string;
  version: number;
}

export interface PromotionInput {
  modelName: string;
  version: number;
  actor: string;
  reason: string;
  /** A promotion with a key that was used before gives the former outcome and changes nothing. */
  idempotencyKey: string;
  /** What the gate decided; null when a person promotes past it. */
  decision: Decision | null;
  /** Who asks, when it is not a pipeline; `actor` is this one's name. */
  by?: Actor;
  /** The generation the promotion was decided on, when it is not that of `decision`. */
  expectedGeneration?: number;
}

/** `needs_approval` is how runs ended before promotions could wait; `stale` asks for another validation. */
export const promotionOutcomes = [
  'promoted',
  'refused',
  'rolled_back',
  'rejected',
  'expired',
  'stale',
  'needs_approval',
] as const;
export type PromotionOutcome = (typeof promotionOutcomes)[number];

export const promotionResultSchema = z.object({
  outcome: z.enum(promotionOutcomes),
  detail: z.string(),
  version: z.number().int(),
  formerVersion: z.number().int().nullable(),
  /** Serving generation after the move; null when nothing was moved. */
  generation: z.number().int().nullable(),
  replicas: z.array(z.string()),
});
export type PromotionResult = z.infer<typeof promotionResultSchema>;

/** What a promoted version is watched for during its first minutes. */
export interface GuardInput {
  modelName: string;
  version: number;
  generation: number;
  /** Key of the promotion, which is taken back when the guard finds a fault. */
  idempotencyKey: string;
}

export interface GuardResult {
  outcome: 'passed' | 'rolled_back' | 'superseded';
  detail: string;
}

/** What a person says to a promotion that waits. */
export interface Verdict {
  by: Actor;
  comment: string | null;
}
