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
  /** Repeating a promotion with the same key returns the first outcome and changes nothing. */
  idempotencyKey: string;
  /** The decision of the promotion gate; null for an override. */
  decision: Decision | null;
  /** The person who requested it, if it is not a pipeline; `actor` is the name. */
  by?: Actor;
  /** The generation the promotion was decided on, if it differs from that of `decision`. */
  expectedGeneration?: number;
}

/** `needs_approval` is an outcome of earlier releases, whose promotions could not wait; `stale` needs another validation. */
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
  /** Serving generation after the change; null without a change. */
  generation: z.number().int().nullable(),
  replicas: z.array(z.string()),
});
export type PromotionResult = z.infer<typeof promotionResultSchema>;

/** Input of the promotion guard. */
export interface GuardInput {
  modelName: string;
  version: number;
  generation: number;
  /** Key of the promotion, which the guard rolls back on a breach. */
  idempotencyKey: string;
}

export interface GuardResult {
  outcome: 'passed' | 'rolled_back' | 'kept' | 'superseded';
  detail: string;
}

/** The answer to an approval. */
export interface Verdict {
  by: Actor;
  comment: string | null;
}
