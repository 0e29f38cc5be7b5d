import { z } from 'zod';
import { nameSchema } from '../datasets/datasets.js';
import { architectures, evaluationSchema, intervalSchema } from '../training/training.js';

/** Path segments at the place of a model name in other routes. */
const reservedModelNames: readonly string[] = ['register', 'promote', 'export'];

export const modelNameSchema = nameSchema.refine(
  (name) => !reservedModelNames.includes(name),
  `${reservedModelNames.join(', ')} are reserved for routes; choose another name`,
);

export const stages = ['None', 'Staging', 'Production', 'Archived'] as const;
export const stageSchema = z.enum(stages);
export type Stage = z.infer<typeof stageSchema>;

/** Kinds of changes of Production. A retirement leaves it empty on purpose. */
export const productionChangeKinds = ['promotion', 'rollback', 'retirement'] as const;
export type ProductionChangeKind = (typeof productionChangeKinds)[number];

/** Why nothing of a model is served, and who decided so. The next promotion ends it. */
export const retirementSchema = z.object({
  version: z.number().int().describe('the version that left Production'),
  at: z.iso.datetime(),
  by: z.string(),
  reason: z.string(),
});
export type Retirement = z.infer<typeof retirementSchema>;

export const gateChecks = [
  'minimum_accuracy',
  'class_recall',
  'above_majority',
  'cross_validation',
  'answer_time',
  'not_worse_than_production',
  'something_changed',
  'same_classes',
  'smoke_test',
  'export_parity',
] as const;

export const gateReasonSchema = z.object({
  check: z.enum(gateChecks),
  passed: z.boolean(),
  detail: z.string().describe('one sentence with value and threshold'),
});

/** Paired comparison of a candidate with Production on the same images. */
export const comparisonSchema = z.object({
  productionVersion: z.number().int(),
  images: z.number().int(),
  candidateAccuracy: z.number(),
  productionAccuracy: z.number(),
  difference: z.number(),
  interval: intervalSchema,
  onlyCandidateRight: z.number().int(),
  onlyProductionRight: z.number().int(),
  /** Exact McNemar test, two-sided. */
  mcnemarPValue: z.number(),
});
export type Comparison = z.infer<typeof comparisonSchema>;

export const outcomes = ['promote', 'refuse', 'needs_approval'] as const;
export const decisionSchema = z.object({
  outcome: z.enum(outcomes),
  summary: z.string(),
  reasons: z.array(gateReasonSchema),
  comparison: comparisonSchema.nullable(),
  generation: z.number().int().optional().describe('serving generation that the candidate was compared with'),
  meanConfidence: z.number().optional().describe('mean confidence of the candidate on the test images, as served'),
});
export type Decision = z.infer<typeof decisionSchema>;

/** State of an approval. */
export const approvalOutcomes = ['waiting', 'approved', 'rejected', 'expired', 'cancelled'] as const;
export type ApprovalOutcome = (typeof approvalOutcomes)[number];

/** Architectures of versions: those trained here, and imported graphs. */
export const versionArchitectures = [...architectures, 'external'] as const;

/** A reported version has no file; it becomes an uploaded one when it gets one. */
export const origins = ['trained', 'uploaded', 'reported'] as const;

const semanticVersionPattern = /^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})$/;
export const semanticVersionSchema = z
  .string()
  .regex(semanticVersionPattern, 'three numbers as in 1.4.0, without a suffix');

/** One that a client sets: with smaller numbers, so that the rule can count on from it. */
export const givenSemanticVersionSchema = z
  .string()
  .regex(
    /^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})$/,
    'three numbers below a million as in 1.4.0, without a suffix',
  );

export const descriptionSchema = z
  .string()
  .max(5000)
  .refine((value) => !value.includes('\u0000'), 'a description holds no NUL character');

const tagKeySchema = z.string().regex(/^[\w./-]{1,100}$/, 'letters, digits, _ . / and -, at most 100 characters');
const tagValueSchema = z
  .string()
  .max(1000)
  .refine((value) => !value.includes('\u0000'), 'a tag holds no NUL character');
const maxTags = 100;
export const tagsSchema = z
  .record(tagKeySchema, tagValueSchema)
  .refine((tags) => Object.keys(tags).length <= maxTags, `at most ${maxTags} tags`);

/** A change of tags: null removes a tag, omitted tags stay. */
export const tagChangesSchema = z
  .record(tagKeySchema, tagValueSchema.nullable())
  .refine((tags) => Object.keys(tags).length <= maxTags, `at most ${maxTags} tags`);

/** Computed aliases, which cannot be set. */
export const computedAliases = ['production', 'latest'] as const;

const aliasPattern = /^[a-z][a-z0-9_-]{0,62}$/;
export const aliasSchema = z
  .string()
  .regex(aliasPattern, 'a lower-case letter, then letters, digits, _ and -, at most 63 characters');

/** A version by its number, or as `@alias`. */
export const versionReferenceSchema = z
  .string()
  .regex(/^([1-9]\d{0,8}|@[a-z][a-z0-9_-]{0,62})$/, 'the number of a version, or @ and an alias');

/** Text that Postgres takes in JSON. */
const isStorable = (text: string): boolean => !text.includes('\u0000') && !/\p{Cs}/u.test(text);
export const maxReportedMetrics = 500;
const metricNames = 'the name of a metric has 1 to 250 characters, without NUL';

/** Metrics that a client measured, by name. Perennial did not check them. */
export const reportedMetricsSchema = z
  .record(z.string().min(1).max(250).refine(isStorable), z.number(), {
    error: ({ code }) => (code === 'invalid_key' ? metricNames : undefined),
  })
  .refine((metrics) => Object.keys(metrics).length <= maxReportedMetrics, `at most ${maxReportedMetrics} metrics`);
export type ReportedMetrics = z.infer<typeof reportedMetricsSchema>;

/** Members of every version, whether it has a file or not. */
const sharedMembers = {
  modelName: z.string(),
  version: z.number().int().positive(),
  stage: stageSchema,
  decision: decisionSchema
    .nullable()
    .describe('the one the version was promoted by; before its first promotion the newest validation'),
  lastValidation: decisionSchema.nullable().describe('the newest validation, also after the promotion'),
  lastValidatedAt: z.iso.datetime().nullable(),
  semanticVersion: semanticVersionSchema.describe(
    'unique per model; the rule is in domain/registry/semantic-version.ts',
  ),
  description: descriptionSchema,
  tags: tagsSchema,
  verifiedAt: z.iso.datetime().nullable().describe('when the bundle was last verified; null if never'),
  revision: z.number().int().positive().describe('grows with every change of the version'),
  createdAt: z.iso.datetime(),
};

/** A version with a file: it can be validated, promoted and served. */
export const modelVersionSchema = z.object({
  ...sharedMembers,
  origin: z.enum(origins).exclude(['reported']),
  reportedMetrics: reportedMetricsSchema.nullable().describe('those of the time before it had its file'),
  runId: z.string(),
  architecture: z.enum(versionArchitectures),
  labels: z.array(z.string()),
  dataset: z.string(),
  datasetVersion: z.number().int(),
  datasetDigest: z.string(),
  bundleKey: z.string().describe('key prefix of the bundle in the object store'),
  bundleSha256: z.string().describe('SHA-256 of manifest.json, which lists every other file'),
  sizeBytes: z.number().int().describe('size of the served file, model.onnx'),
  evaluation: evaluationSchema,
});
export type ModelVersion = z.infer<typeof modelVersionSchema>;

/** A version without a file, of which only what a client reported is known. */
export const reportedVersionSchema = z.object({
  ...sharedMembers,
  origin: z.literal('reported'),
  reportedMetrics: reportedMetricsSchema,
  ...{ runId: z.null(), architecture: z.null(), labels: z.null(), dataset: z.null(), datasetVersion: z.null() },
  ...{ datasetDigest: z.null(), bundleKey: z.null(), bundleSha256: z.null(), sizeBytes: z.null() },
  evaluation: z.null(),
});
export type ReportedVersion = z.infer<typeof reportedVersionSchema>;

export type RegisteredVersion = ModelVersion | ReportedVersion;

/** Inputs of the semantic version rule: architecture, classes, dataset. */
export type Lineage = Pick<ModelVersion, 'architecture' | 'labels' | 'dataset' | 'datasetDigest'>;
