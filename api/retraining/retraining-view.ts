import type { z } from 'zod';
import { toSnake, type CamelInput } from '../../contracts/http/snake-shape.js';
import {
  decisionViewOfRetrainingSchema,
  retrainingCheckSchema,
  type RetrainingDecisionView,
} from '../../contracts/retraining/http-retraining.js';
import type { RetrainingMetrics, RetrainingVerdict } from '../../contracts/retraining/retraining.js';
import type { ListedDecision } from '../../stores/retraining/retraining-decisions.js';

/** A decision as JSON. */
export function decisionView(decision: ListedDecision): RetrainingDecisionView {
  return toSnake(decisionViewOfRetrainingSchema, decisionFields(decision));
}

/** The fields of a decision view, with camelCase names. */
export function decisionFields(decision: ListedDecision): CamelInput<typeof decisionViewOfRetrainingSchema> {
  const { runId, errorMessage, summary } = decision;
  return { ...decision, run: runId === null ? null : { ...decision, runId, detail: errorMessage ?? summary } };
}

/** The decision that would be made now, as JSON. */
export function checkView({
  verdict,
  ...check
}: {
  modelName: string;
  dataset: string;
  verdict: RetrainingVerdict;
  metrics: RetrainingMetrics;
}): z.input<typeof retrainingCheckSchema> {
  return toSnake(retrainingCheckSchema, { ...check, ...verdict, shouldRetrain: verdict.decision === 'retrain' });
}
