import { z } from 'zod';
import { comparisonViewSchema } from './http-versions.js';
import {
  descriptionSchema,
  productionChangeKinds,
  retirementSchema,
  givenSemanticVersionSchema,
  stages,
  tagChangesSchema,
} from './registry.js';

/** Models, aliases, comparisons and edits of versions, as JSON. */
export const modelSummaryViewSchema = z
  .object({
    name: z.string(),
    versions: z.number().int().describe('number of undeleted versions'),
    latest_version: z.string().nullable(),
    production_version: z.string().nullable(),
    production_since: z.iso.datetime().nullable(),
    retired: retirementSchema
      .extend({ version: z.string() })
      .nullable()
      .describe('when, by whom and why nothing is served; null while something is, or if nothing ever was'),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'ModelSummary' });
export type ModelSummaryView = z.infer<typeof modelSummaryViewSchema>;

export const editVersionSchema = z
  .strictObject({
    description: descriptionSchema.optional(),
    tags: tagChangesSchema.optional().describe('tags to set; null removes a tag, omitted tags stay'),
    semantic_version: givenSemanticVersionSchema.optional(),
  })
  .refine((change) => Object.keys(change).length > 0, 'name at least one of description, tags and semantic_version')
  .meta({ id: 'EditVersion' });

const reasonSchema = z.string().trim().min(1).max(1000);

export const changeStageSchema = z
  .strictObject({
    stage: z.enum(stages).describe('None, Staging or Archived; use promotion for Production'),
    reason: reasonSchema,
  })
  .meta({ id: 'ChangeStage' });

/** A version number, as a string or a number. */
export const versionNumberSchema = z
  .union([z.string().regex(/^[1-9]\d{0,8}$/, 'the number of a version'), z.number().int().min(1).max(999_999_999)])
  .transform(Number);

export const setAliasSchema = z.strictObject({ version: versionNumberSchema }).meta({ id: 'SetAlias' });

export const aliasViewSchema = z
  .object({
    alias: z.string(),
    version: z.string(),
    changed_at: z.iso.datetime().nullable().describe('null for the computed `production` and `latest`'),
  })
  .meta({ id: 'Alias' });
export type AliasView = z.infer<typeof aliasViewSchema>;

export const deletedVersionSchema = z
  .object({
    model_name: z.string(),
    version: z.string(),
    deleted_at: z.iso.datetime(),
    deleted_by: z.string(),
  })
  .meta({ id: 'DeletedVersion' });

export const productionChangeViewSchema = z
  .object({
    at: z.iso.datetime(),
    until: z.iso.datetime().nullable().describe('when it was replaced; null while it is in Production'),
    version: z
      .string()
      .nullable()
      .describe('version in Production from then on; null if a rollback or retirement left none'),
    instead_of: z.string().nullable(),
    kind: z.enum(productionChangeKinds),
    by: z.string(),
    approver: z.string().nullable(),
    reason: z.string(),
    generation: z.number().int(),
    workflow_id: z.string().nullable(),
  })
  .meta({ id: 'ProductionMove' });
export type ProductionChangeView = z.infer<typeof productionChangeViewSchema>;

const perVersion = z.array(z.number().nullable()).describe('one per version, in the order of `versions`');

export const versionComparisonSchema = z
  .object({
    model_name: z.string(),
    versions: z.array(
      z.object({
        version: z.string(),
        semantic_version: z.string(),
        stage: z.enum(stages),
        architecture: z.string(),
        dataset: z.string(),
        dataset_version: z.number().int(),
        test_images: z.number().int(),
        created_at: z.iso.datetime(),
      }),
    ),
    same_test_set: z.boolean(),
    note: z.string().describe('whether the metrics are comparable, and why not'),
    measures: z.array(
      z.object({
        name: z.string(),
        values: perVersion,
        differences: perVersion.describe('relative to the first version'),
        best: z.array(z.string()).describe('versions with the best value'),
      }),
    ),
    per_class: z.array(
      z.object({ label: z.string(), precision: perVersion, recall: perVersion, f1: perVersion, support: perVersion }),
    ),
    decisions: z
      .array(z.object({ version: z.string(), comparison: comparisonViewSchema }))
      .describe('paired comparisons on the same images that the promotion gate has recorded'),
  })
  .meta({ id: 'VersionComparison' });
export type VersionComparisonView = z.infer<typeof versionComparisonSchema>;
