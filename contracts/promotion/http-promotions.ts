import { z } from 'zod';
import { snakeShape } from '../http/snake-shape.js';
import { versionNumberSchema } from '../registry/http-models.js';
import { decisionViewSchema } from '../registry/http-versions.js';
import { approvalOutcomes, modelNameSchema } from '../registry/registry.js';
import { promotionResultSchema } from './promotion-pipeline.js';

/** What HTTP takes and shows of changes of Production: promotions, rollbacks, approvals. */
/** `result` of a promotion by hand that has ended, however it did. */
export const promotionResultViewSchema = snakeShape(promotionResultSchema)
  .extend({ version: z.string(), former_version: z.string().nullable() })
  .meta({ id: 'PromotionResult' });

const reasonSchema = z.string().trim().min(1).max(1000);

const expectedGenerationSchema = z
  .number()
  .int()
  .min(0)
  .optional()
  .describe('serving generation you decided on; without it the one at the moment of the request');

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

/** A promotion that goes on: it waits for a person, or for replicas. */
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
    version: versionNumberSchema.optional().describe('a version that has served before; without it the one before'),
    reason: reasonSchema,
    expected_generation: expectedGenerationSchema,
  })
  .meta({ id: 'Rollback' });

export const rollbackViewSchema = z
  .object({
    model_name: z.string(),
    version: z.string().describe('what serves again'),
    former_version: z.string().describe('what was taken out'),
    generation: z.number().int(),
    replicas: z.array(z.object({ url: z.string(), serves: z.boolean() })),
    duration_ms: z.number().describe('until every live replica served it, or five seconds were over'),
    repeated: z.boolean().describe('whether an earlier request with the same Idempotency-Key had done it'),
  })
  .meta({ id: 'RollbackResult' });

export const answerSchema = z.strictObject({ comment: z.string().trim().max(2000).optional() }).meta({ id: 'Answer' });

export const approvalViewSchema = z
  .object({
    id: z.string(),
    model_name: z.string(),
    version: z.string(),
    outcome: z.enum(approvalOutcomes),
    summary: z.string(),
    decision: decisionViewSchema.nullable().describe('the comparison a person decides on'),
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
