import { z } from 'zod';
import { exampleSchema, splitSchema, type Example } from '../../contracts/datasets/datasets.js';
import { approvalOutcomes, productionChangeKinds } from '../../contracts/registry/registry.js';
import { hyperparametersSchema } from '../../contracts/training/training.js';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Database } from '../postgres/database.js';
import type { Page } from '../postgres/page.js';
import { productionColumns } from '../promotion/promotion-record.js';

const erasedAt = timestampColumn.nullable();

const modelVersionRow = z.object({
  modelName: z.string(),
  version: z.number(),
  semanticVersion: z.string(),
  origin: z.string(),
  stage: z.string(),
  runId: z.string(),
  architecture: z.string(),
  labels: z.array(z.string()),
  dataset: z.string(),
  datasetVersion: z.number(),
  datasetDigest: z.string(),
  bundleKey: z.string(),
  bundleSha256: z.string(),
  createdAt: timestampColumn,
  deletedAt: timestampColumn.nullable(),
  erasedAt,
});

const runRow = z.object({
  runId: z.string(),
  hyperparameters: hyperparametersSchema.nullable(),
  codeRevision: z.string(),
  workflowId: z.string(),
  /** Temporal run id of that workflow; null if unknown. */
  workflowRunId: z.string().nullable(),
  status: z.string(),
  weightsSha256: z.string().nullable(),
  dataset: z.string(),
  datasetVersion: z.number(),
  startedAt: timestampColumn,
  endedAt: timestampColumn.nullable(),
});

const datasetRow = z.object({
  dataset: z.string(),
  version: z.number(),
  digest: z.string(),
  dvcMd5: z.string(),
  sources: z.array(z.object({ kind: z.string(), locator: z.string() })),
  images: integerColumn,
  erasedImages: integerColumn,
  sides: z.record(z.string(), z.number()),
  createdAt: timestampColumn,
  erasedAt,
});

const featureFileRow = z.object({
  objectKey: z.string(),
  sha256: z.string(),
  backboneDigest: z.string(),
  /** Number of images of the dataset version in it. */
  images: integerColumn,
  erasedAt,
});

const promotionRow = z.object({
  id: integerColumn,
  kind: z.enum(productionChangeKinds),
  /** The version in Production from then on; null if none. */
  version: z.number().nullable(),
  /** The version that it replaced; null if none. */
  insteadOf: z.number().nullable(),
  actor: z.string(),
  reason: z.string(),
  workflowId: z.string().nullable(),
  createdAt: timestampColumn,
});

const approvalRow = z.object({
  id: integerColumn,
  outcome: z.enum(approvalOutcomes),
  /** What the policy did when it expired. */
  onExpiry: z.enum(['reject', 'promote']),
  decidedBy: z.string().nullable(),
  decidedAt: timestampColumn.nullable(),
});

const imageRow = z.object({
  sha256: z.string(),
  objectKey: z.string(),
  label: z.string(),
  side: splitSchema,
  /** The prediction that the image was captured from, if it was ingested by its label. */
  predictionId: z.string().nullable(),
  erasedAt,
});
export type LineageImage = z.output<typeof imageRow>;

/** The origin of a prediction; null for unknown parts. */
export interface LineageFacts {
  version: z.output<typeof modelVersionRow> | null;
  run: z.output<typeof runRow> | null;
  dataset: z.output<typeof datasetRow> | null;
  featureFiles: z.output<typeof featureFileRow>[];
  promotion: z.output<typeof promotionRow> | null;
  approval: z.output<typeof approvalRow> | null;
}

/** Fields of a prediction that identify its origin. */
export interface Origin {
  modelName: string;
  version: number;
  generation: number;
}

/** Lineage from predictions to images. */
export interface LineageStore {
  facts(origin: Origin): Promise<LineageFacts>;
  /** Every image of a dataset version with label and split, including erased ones, ordered by digest. */
  examples(dataset: string, version: number): Promise<Example[]>;
  /** Images of a dataset version, ordered by digest; the token is the last digest of the previous page. */
  images(
    dataset: string,
    version: number,
    query: { limit: number; pageToken?: string | null },
  ): Promise<Page<LineageImage>>;
  /** A random sample of the unerased images of a dataset version. */
  sampleImages(dataset: string, version: number, count: number): Promise<LineageImage[]>;
}

const imageColumns = `i.sha256, i.object_key, e.label, e.side, i.erased_at,
    (SELECT d.prediction_id FROM label_decisions d WHERE d.content_sha256 = i.sha256 AND d.decision = 'label'
     ORDER BY d.id DESC LIMIT 1) AS prediction_id
  FROM dataset_examples e JOIN images i USING (sha256) WHERE e.dataset = $1 AND e.version = $2`;

export function createLineageStore(db: Database): LineageStore {
  return {
    facts: (origin) => readFacts(db, origin),
    examples: (dataset, version) =>
      db.rows(
        exampleSchema,
        'SELECT sha256, label, side FROM dataset_examples WHERE dataset = $1 AND version = $2 ORDER BY sha256',
        [dataset, version],
      ),
    async images(dataset, version, { limit, pageToken = null }) {
      const rows = await db.rows(
        imageRow,
        `SELECT ${imageColumns} AND ($3::text IS NULL OR e.sha256 > $3) ORDER BY e.sha256 LIMIT $4`,
        [dataset, version, pageToken, limit + 1],
      );
      const items = rows.slice(0, limit);
      return { items, nextPageToken: rows.length > limit ? (items.at(-1)?.sha256 ?? null) : null };
    },
    sampleImages: (dataset, version, count) =>
      db.rows(imageRow, `SELECT ${imageColumns} AND i.erased_at IS NULL ORDER BY random() LIMIT $3`, [
        dataset,
        version,
        count,
      ]),
  };
}

async function readFacts(db: Database, { modelName, version, generation }: Origin): Promise<LineageFacts> {
  const found = await db.row(modelVersionRow, 'SELECT * FROM model_versions WHERE model_name = $1 AND version = $2', [
    modelName,
    version,
  ]);
  const promotion = await db.row(
    promotionRow.extend({ idempotencyKey: z.string() }),
    `SELECT id, kind, actor, reason, workflow_id, created_at, idempotency_key, ${productionColumns}
     FROM promotions WHERE model_name = $1 AND generation = $2 ORDER BY id DESC LIMIT 1`,
    [modelName, generation],
  );
  const dataset = found && (await readDataset(db, found.dataset, found.datasetVersion));
  return {
    version: found,
    run: found && (await readRun(db, found.runId)),
    dataset,
    featureFiles: dataset ? await readFeatureFiles(db, dataset.dataset, dataset.version) : [],
    promotion,
    // A rollback has the key of the promotion that it reverted, which somebody may have approved.
    approval:
      promotion?.kind === 'promotion'
        ? await db.row(approvalRow, 'SELECT * FROM approvals WHERE idempotency_key = $1', [promotion.idempotencyKey])
        : null,
  };
}

/** Runs of earlier releases do not store Temporal's run id; their attempts do, except the oldest. */
function readRun(db: Database, runId: string): Promise<LineageFacts['run']> {
  return db.row(
    runRow,
    `SELECT r.*, coalesce(r.workflow_run_id, (SELECT a.run_id FROM activity_attempts a
       WHERE a.workflow_id = r.workflow_id ORDER BY a.sequence DESC LIMIT 1)) AS workflow_run_id
     FROM runs r WHERE r.run_id = $1`,
    [runId],
  );
}

/** Images are counted as the version was made, also those that were erased since. */
function readDataset(db: Database, dataset: string, version: number): Promise<LineageFacts['dataset']> {
  return db.row(
    datasetRow,
    `SELECT v.*, coalesce(nullif((
         SELECT count(*) FROM dataset_examples e WHERE e.dataset = v.dataset AND e.version = v.version), 0),
         (v.statistics ->> 'images')::bigint, 0) AS images,
       (SELECT count(*) FROM dataset_examples e JOIN images i USING (sha256)
        WHERE e.dataset = v.dataset AND e.version = v.version AND i.erased_at IS NOT NULL) AS erased_images,
       (SELECT coalesce(jsonb_object_agg(side, counted), '{}') FROM (SELECT side, count(*) AS counted
        FROM dataset_examples e WHERE e.dataset = v.dataset AND e.version = v.version GROUP BY side) by_side) AS sides
     FROM dataset_versions v WHERE v.dataset = $1 AND v.version = $2`,
    [dataset, version],
  );
}

/** Embedding files of the version's images, including erased files that runs on the dataset used. */
function readFeatureFiles(db: Database, dataset: string, version: number): Promise<LineageFacts['featureFiles']> {
  return db.rows(
    featureFileRow,
    `SELECT file.*, counted.images FROM feature_files file JOIN (
       SELECT f.file_id, count(*) AS images FROM features f JOIN dataset_examples e USING (sha256)
       WHERE e.dataset = $1 AND e.version = $2 GROUP BY f.file_id) counted ON counted.file_id = file.id
     UNION ALL
     SELECT file.*, 0 FROM feature_files file JOIN runs r USING (run_id)
     WHERE file.erased_at IS NOT NULL AND r.dataset = $1 AND r.dataset_version <= $2
     ORDER BY id`,
    [dataset, version],
  );
}
