import type { z } from 'zod';
import type { RetrainingDecisionView, retrainingCheckSchema } from '../../contracts/retraining/http-retraining.js';
import type { RetrainingMetrics, RetrainingVerdict } from '../../contracts/retraining/retraining.js';
import type { ListedDecision } from '../../stores/retraining/retraining-decisions.js';

/** A decision in the spelling of HTTP. */
export function decisionView(decision: ListedDecision): RetrainingDecisionView {
  return {
    id: String(decision.id),
    model_name: decision.modelName,
    dataset: decision.dataset,
    kind: decision.kind,
    trigger: decision.trigger,
    requested_by: decision.requestedBy,
    ...verdictView(decision, decision.metrics),
    run: decision.runId === null ? null : { run_id: decision.runId, joined: decision.joined, ...endOf(decision) },
    start_error: decision.startError,
    scheduled_for: decision.scheduledFor,
    created_at: decision.createdAt,
  };
}

/** What would be decided, in the spelling of HTTP. */
export function checkView(check: {
  modelName: string;
  dataset: string;
  verdict: RetrainingVerdict;
  metrics: RetrainingMetrics;
}): z.input<typeof retrainingCheckSchema> {
  return {
    model_name: check.modelName,
    dataset: check.dataset,
    should_retrain: check.verdict.decision === 'retrain',
    ...verdictView(check.verdict, check.metrics),
  };
}

type VerdictView = Pick<RetrainingDecisionView, 'decision' | 'reason' | 'skipped_because' | 'reasons' | 'metrics'>;

function verdictView(
  { decision, reason, skippedBecause, reasons }: Omit<RetrainingVerdict, 'trigger'>,
  metrics: RetrainingMetrics,
): VerdictView {
  return {
    decision,
    reason,
    skipped_because: skippedBecause,
    reasons,
    metrics: {
      production_version: metrics.productionVersion === null ? null : String(metrics.productionVersion),
      test_accuracy: metrics.testAccuracy,
      production_accuracy: metrics.productionAccuracy,
      labelled: metrics.labelled,
      dataset_version: metrics.datasetVersion,
      new_images: metrics.newImages,
      new_share: metrics.newShare,
    },
  };
}

function endOf({
  status,
  outcome,
  summary,
  errorMessage,
  endedAt,
}: ListedDecision): Omit<NonNullable<RetrainingDecisionView['run']>, 'run_id' | 'joined'> {
  return { status, outcome, detail: errorMessage ?? summary, ended_at: endedAt };
}
