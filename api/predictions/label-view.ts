import type { z } from 'zod';
import type { labelCandidateViewSchema, labelDecisionViewSchema } from '../../contracts/predictions/http-labels.js';
import type { LabelPriority } from '../../domain/predictions/label-priority.js';
import type { LabelCandidate, LabelDecision } from '../../stores/predictions/labels.js';

/** A picture that waits for a label, in the spelling of HTTP. */
export function labelCandidateView(
  candidate: LabelCandidate,
  priority: LabelPriority,
): z.input<typeof labelCandidateViewSchema> {
  return {
    prediction_id: candidate.id,
    created_at: candidate.createdAt,
    model_name: candidate.modelName,
    model_version: String(candidate.version),
    prediction: candidate.predicted,
    confidence: candidate.confidence,
    probabilities: candidate.probabilities,
    image_sha256: candidate.imageSha256,
    input_url: `/api/v1/predictions/${candidate.id}/input`,
    expires_at: candidate.expiresAt,
    score: priority.score,
    uncertainty: priority.uncertainty,
    disagreement: priority.disagreement,
    reasons: priority.reasons,
  };
}

/** What somebody said of a picture, in the spelling of HTTP. */
export function labelDecisionView(decision: LabelDecision): z.input<typeof labelDecisionViewSchema> {
  return {
    label_id: String(decision.id),
    prediction_id: decision.predictionId,
    model_name: decision.modelName,
    model_version: String(decision.version),
    predicted: decision.predicted,
    decision: decision.decision,
    label: decision.label,
    new_class: decision.newClass,
    picture_sha256: decision.contentSha256,
    actor: decision.actor,
    comment: decision.comment,
    created_at: decision.createdAt,
  };
}
