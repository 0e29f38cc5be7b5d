import type {
  ComparisonView,
  DecisionView,
  EvaluationView,
  ModelVersionView,
} from '../../contracts/registry/http-versions.js';
import type { Comparison, Decision, ModelVersion } from '../../contracts/registry/registry.js';
import type { Evaluation } from '../../contracts/training/training.js';

/** An evaluation in the spelling of HTTP. */
export function evaluationView(evaluation: Evaluation): EvaluationView {
  const { rocAuc, calibrationError, confusionMatrix, perClass, intervals, ...same } = evaluation;
  const { rocAuc: rocAucInterval, calibrationError: calibrationErrorInterval, ...sameIntervals } = intervals;
  return {
    ...same,
    roc_auc: rocAuc,
    calibration_error: calibrationError,
    confusion_matrix: confusionMatrix,
    per_class: perClass,
    intervals: { ...sameIntervals, roc_auc: rocAucInterval, calibration_error: calibrationErrorInterval },
  };
}

/** A model version in the spelling of HTTP, where versions are strings. */
export function modelVersionView(version: ModelVersion): ModelVersionView {
  return {
    model_name: version.modelName,
    version: String(version.version),
    semantic_version: version.semanticVersion,
    stage: version.stage,
    description: version.description,
    tags: version.tags,
    origin: version.origin,
    run_id: version.runId,
    architecture: version.architecture,
    labels: version.labels,
    dataset: version.dataset,
    dataset_version: version.datasetVersion,
    dataset_digest: version.datasetDigest,
    bundle_sha256: version.bundleSha256,
    size_bytes: version.sizeBytes,
    metrics: evaluationView(version.evaluation),
    decision: version.decision && decisionView(version.decision),
    verified_at: version.verifiedAt,
    created_at: version.createdAt,
  };
}

/** The gate's decision in the spelling of HTTP. */
export function decisionView({ outcome, summary, reasons, comparison }: Decision): DecisionView {
  return {
    outcome,
    summary,
    reasons,
    comparison: comparison && comparisonView(comparison),
  };
}

/** A paired comparison in the spelling of HTTP. */
export function comparisonView(comparison: Comparison): ComparisonView {
  return {
    production_version: String(comparison.productionVersion),
    images: comparison.images,
    candidate_accuracy: comparison.candidateAccuracy,
    production_accuracy: comparison.productionAccuracy,
    difference: comparison.difference,
    interval: comparison.interval,
    only_candidate_right: comparison.onlyCandidateRight,
    only_production_right: comparison.onlyProductionRight,
    mcnemar_p_value: comparison.mcnemarPValue,
  };
}
