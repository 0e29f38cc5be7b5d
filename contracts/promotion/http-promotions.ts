import { z } from 'zod';
import { snakeShape } from '../http/snake-shape.js';
import { versionNumberSchema } from '../registry/http-models.js';
import { decisionViewSchema } from '../registry/http-versions.js';
import { approvalOutcomes, modelNameSchema } from '../registry/registry.js';
import { promotionResultSchema } from './promotion-pipeline.js';

/** Promotions, rollbacks and approvals, as JSON. */
/** `result` of an ended manual promotion. */
export const promotionResultViewSchema = snakeShape(promotionResultSchema)
  .extend({ version: z.string(), former_version: z.string().nullable() })
  .meta({ id: 'PromotionResult' });

const reasonSchema = z.string().trim().min(1).max(1000);

const expectedGenerationSchema = z
  .number()
  .int()
  .min(0)
  .optional()
  .describe('serving generation that you decided on; default: the one at the request');

export const promoteSchema = z
  .strictObject({
    model_name: modelNameSchema.optional(),
    version: versionNumberSchema,
    reason: reasonSchema,
    override: z.boolean().default(false).describe('promote although validation refused the version'),
    expected_generation: expectedGenerationSchema,
  })
  .meta({ id: 'Promote' });

export const promotionViewSchema = promotionResultViewSchema
  .extend({ model_name: z.string(), pipeline_url: z.string() })
  .meta({ id: 'Promotion' });

/** A running promotion: it waits for approval, or for replicas. */
export const promotionUnderWaySchema = z
  .object({
    outcome: z.literal('waiting'),
    detail: z.string(),
    model_name: z.string(),
    version: z.string(),
    pipeline_url: z.string(),
  })
  .meta({ id: 'PromotionUnderWay' });

export const rollbackSchema = z
  .strictObject({
    version: versionNumberSchema.optional().describe('a version that has served before; default: the previous one'),
    reason: reasonSchema,
    expected_generation: expectedGenerationSchema,
  })
  .meta({ id: 'Rollback' });

export const rollbackViewSchema = z
  .object({
    model_name: z.string(),
    version: z.string().describe('the version that serves again'),
    former_version: z.string().describe('the archived version'),
    generation: z.number().int(),
    replicas: z.array(z.object({ url: z.string(), serves: z.boolean() })),
    duration_ms: z.number().describe('until every live replica served it, at most five seconds'),
    repeated: z.boolean().describe('whether an earlier request with the same Idempotency-Key made the change'),
  })
  .meta({ id: 'RollbackResult' });

export const retireSchema = z
  .strictObject({ reason: reasonSchema, expected_generation: expectedGenerationSchema })
  .meta({ id: 'Retire' });

export const retirementViewSchema = z
  .object({
    model_name: z.string(),
    version: z.string().describe('the archived version'),
    generation: z.number().int(),
    by: z.string(),
    reason: z.string(),
    replicas: z.array(z.object({ url: z.string(), unloaded: z.boolean() })),
    duration_ms: z.number().describe('until every live replica unloaded it, at most five seconds'),
    repeated: z.boolean().describe('whether an earlier request with the same Idempotency-Key made the change'),
  })
  .meta({ id: 'RetirementResult' });

export const answerSchema = z.strictObject({ comment: z.string().trim().max(2000).optional() }).meta({ id: 'Answer' });

export const approvalViewSchema = z
  .object({
    id: z.string(),
    model_name: z.string(),
    version: z.string(),
    outcome: z.enum(approvalOutcomes),
    summary: z.string(),
    decision: decisionViewSchema.nullable().describe('the comparison to decide on'),
    requested_by: z.string(),
    pipeline_url: z.string(),
    on_expiry: z.enum(['reject', 'promote']),
    expires_at: z.iso.datetime(),
    decided_by: z.string().nullable(),
    comment: z.string().nullable(),
    decided_at: z.iso.datetime().nullable(),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'Approval' });
export type ApprovalView = z.infer<typeof approvalViewSchema>;
