import { z } from 'zod';
import { datasetStatisticsSchema } from '../../contracts/datasets/datasets.js';
import type { RetrainingInputs } from '../../contracts/retraining/retraining.js';
import { hyperparametersSchema } from '../../contracts/training/training.js';
import { integerColumn } from '../postgres/columns.js';
import type { Database } from '../postgres/database.js';
import type { FeedbackStore } from '../predictions/feedback.js';
import type { PolicyStore } from '../promotion/policies.js';

const productionRow = z.object({
  version: z.number(),
  testAccuracy: z.number(),
  dataset: z.string(),
  datasetVersion: z.number(),
  // Imported models have no training here.
  hyperparameters: hyperparametersSchema.nullable().catch(null),
});

const growthRow = z.object({
  datasetVersion: z.number(),
  statistics: datasetStatisticsSchema,
  images: integerColumn,
  newImages: integerColumn,
});

/** Inputs of a retraining decision. */
export interface RetrainingInputStore {
  /** `dataset` null means the one that Production was trained on, or `fallback`. */
  read(question: { modelName: string; dataset: string | null; fallback: string }): Promise<RetrainingInputs>;
  /** The first version of a model that was trained on a version of a dataset; null if there is none. */
  versionTrainedOn(modelName: string, data: { dataset: string; version: number }): Promise<number | null>;
  /** Whether the model ever had a version. */
  isKnown(modelName: string): Promise<boolean>;
}

export interface RetrainingInputSources {
  policies: Pick<PolicyStore, 'get'>;
  feedback: Pick<FeedbackStore, 'productionAccuracy'>;
}

export function createRetrainingInputStore(
  db: Database,
  { policies, feedback }: RetrainingInputSources,
): RetrainingInputStore {
  return {
    async read({ modelName, dataset, fallback }) {
      const production = await db.row(
        productionRow,
        `SELECT v.version, (v.evaluation ->> 'accuracy')::double precision AS test_accuracy, v.dataset, v.dataset_version,
           r.hyperparameters
         FROM model_versions v LEFT JOIN runs r ON r.run_id = v.run_id
         WHERE v.model_name = $1 AND v.stage = 'Production'`,
        [modelName],
      );
      const { retraining: policy } = await policies.get(modelName);
      const asked = dataset ?? production?.dataset ?? fallback;
      return {
        policy,
        dataset: asked,
        production: production && {
          version: production.version,
          testAccuracy: production.testAccuracy,
          hyperparameters: production.hyperparameters,
        },
        feedback: production
          ? await feedback.productionAccuracy(modelName, { version: production.version })
          : { labelled: 0, accuracy: null, interval: null },
        data: await readGrowth(db, asked, production?.dataset === asked ? production.datasetVersion : null),
      };
    },
    async versionTrainedOn(modelName, { dataset, version }) {
      const trained = await db.row(
        z.object({ version: z.number().nullable() }),
        `SELECT min(v.version) AS version FROM model_versions v LEFT JOIN runs r ON r.run_id = v.run_id
         WHERE v.model_name = $1 AND v.dataset = $2 AND v.dataset_version = $3 AND r.kind IS DISTINCT FROM 'import'`,
        [modelName, dataset, version],
      );
      return trained?.version ?? null;
    },
    async isKnown(modelName) {
      return (await db.query('SELECT FROM models WHERE name = $1', [modelName])).length > 0;
    },
  };
}

/** The newest version of a dataset, and the number of its images that a given version lacks or labels otherwise. */
async function readGrowth(db: Database, dataset: string, known: number | null): Promise<RetrainingInputs['data']> {
  const growth = await db.row(
    growthRow,
    `SELECT v.version AS dataset_version, v.statistics, count(e.sha256) AS images,
       count(e.sha256) FILTER (WHERE NOT EXISTS (
         SELECT FROM dataset_examples k WHERE k.dataset = e.dataset AND k.version = $2 AND k.sha256 = e.sha256
           AND k.label = e.label
       )) AS new_images
     FROM datasets d JOIN dataset_versions v ON v.dataset = d.name AND v.version = d.current_version
       LEFT JOIN (dataset_examples e JOIN images i ON i.sha256 = e.sha256 AND i.erased_at IS NULL)
         ON e.dataset = v.dataset AND e.version = v.version
     WHERE d.name = $1 GROUP BY v.dataset, v.version`,
    [dataset, known],
  );
  if (!growth) return null;
  const { datasetVersion, statistics, images, newImages } = growth;
  return { datasetVersion, statistics, images, newImages, newShare: newImages / Math.max(1, images) };
}
