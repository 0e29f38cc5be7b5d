import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../../../../platform/logging.js';
import { packageRoot } from '../../../../platform/paths.js';
import { createDatabase } from '../../../../stores/postgres/database.js';
import { createExperimentStore } from '../../../../stores/experiments/experiments.js';
import { migrate } from '../../../../stores/postgres/migrate.js';
import { hyperparameters, evaluationOf } from '../../../support/measurements.js';
import { startPostgres } from '../../../support/services.js';

const migrations = join(packageRoot, 'stores', 'migrations');

describe('a database of the first release', () => {
  it('finds its runs in the experiments of their models, with their final metrics', async () => {
    const postgres = await startPostgres();
    const db = createDatabase({ url: postgres.url, poolSize: 2, logger: createLogger('test', 'silent') });
    const folder = await mkdtemp(join(tmpdir(), 'perennial-test-migrations-'));
    try {
      const former = (await readdir(migrations)).filter((name) => name < '0007');
      for (const name of former) await cp(join(migrations, name), join(folder, name));
      await migrate(db, folder);
      const metrics = { test: evaluationOf(0.9), validation: evaluationOf(0.8), epochs: [], bestEpoch: 1 };
      await db.query(
        `INSERT INTO datasets (name) VALUES ('flowers');
         INSERT INTO ingestions (id, dataset, kind, locator, is_default) VALUES ('i', 'flowers', 'folder', '/x', false);
         INSERT INTO dataset_versions (dataset, version, digest, dvc_md5, statistics, sources, ingestion_id)
         VALUES ('flowers', 1, 'd', 'm', '{}', '[]', 'i')`,
      );
      const insert = `INSERT INTO runs (run_id, model_name, dataset, dataset_version, hyperparameters, workflow_id,
        code_revision, status, metrics) VALUES ($1, $2, 'flowers', 1, $3, 'w', 'abc', $4, $5)`;
      const parameters = JSON.stringify(hyperparameters);
      await db.query(insert, ['0123456789', 'rose', parameters, 'completed', JSON.stringify(metrics)]);
      await db.query(insert, ['9876543210', 'rose', parameters, 'failed', null]);
      await db.query(
        `INSERT INTO run_metrics (run_id, step, name, value)
         VALUES ('9876543210', 0, 'validationLoss', 0.75), ('9876543210', 1, 'validationLoss', 0.25)`,
      );
      await migrate(db);

      const search = { experiment: 'rose', filter: null, order: [], limit: 10 };
      const { items } = await createExperimentStore(db).searchRuns(search);
      expect(items).toMatchObject([
        { name: 'efficientnet-lite0-98765432', finalMetrics: { validation_loss: 0.25 }, kind: 'training' },
        { name: 'efficientnet-lite0-01234567', finalMetrics: { accuracy: 0.9, roc_auc: 0.9 }, tags: {} },
      ]);
    } finally {
      await db.close();
      await postgres.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
