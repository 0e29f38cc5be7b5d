import type { z } from 'zod';
import { toSnake } from '../../contracts/http/snake-shape.js';
import { labelCandidateViewSchema, labelDecisionViewSchema } from '../../contracts/predictions/http-labels.js';
import type { LabelPriority } from '../../domain/predictions/label-priority.js';
import type { LabelCandidate, LabelDecision } from '../../stores/predictions/labels.js';

/** An image that waits for a label, as JSON. */
export function labelCandidateView(
  candidate: LabelCandidate,
  priority: LabelPriority,
): z.input<typeof labelCandidateViewSchema> {
  return toSnake(labelCandidateViewSchema, {
    ...candidate,
    ...priority,
    predictionId: candidate.id,
    modelVersion: candidate.version,
    prediction: candidate.predicted,
    inputUrl: `/api/v1/predictions/${candidate.id}/input`,
  });
}

/** A decision on a label, as JSON. */
export function labelDecisionView(decision: LabelDecision): z.input<typeof labelDecisionViewSchema> {
  return toSnake(labelDecisionViewSchema, {
    ...decision,
    labelId: String(decision.id),
    modelVersion: decision.version,
    pictureSha256: decision.contentSha256,
  });
}
