import { planVersion } from '../../../../domain/datasets/plan-version.js';
import { createDatasetEdits } from '../../../../stores/datasets/dataset-edits.js';
import { createErasureStore } from '../../../../stores/erasure/erasures.js';
import type { FeedbackStore } from '../../../../stores/predictions/feedback.js';
import { createPolicyStore } from '../../../../stores/promotion/policies.js';
import {
  createRetrainingInputStore,
  type RetrainingInputStore,
} from '../../../../stores/retraining/retraining-inputs.js';
import { commitImages, factsOf } from '../../../support/dataset-version.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';

const by = { name: 'the curator', via: 'rest', from: 'a test', requestId: null } as const;
const feedback: Pick<FeedbackStore, 'productionAccuracy'> = {
  productionAccuracy: () => Promise.resolve({ labelled: 0, correct: 0, accuracy: null, interval: null }),
};

describe('the new images of a dataset', () => {
  let records: TestDatabase;
  let facts: RetrainingInputStore;
  beforeAll(async () => {
    records = await startTestDatabase();
    facts = createRetrainingInputStore(records.db, { policies: createPolicyStore(records.db), feedback });
  });
  afterAll(() => records.stop());

  const sha256 = factsOf(1).sha256;
  const growth = async (): Promise<unknown> =>
    (await facts.read({ modelName: 'grown', dataset: 'grown', fallback: 'grown' })).data;

  it('are those that Production lacks or knows under another label, without the erased ones', async () => {
    await commitImages(records.db, 'grown', { x: [1, 2, 3], y: [4, 5, 6] });
    await records.db.query(`INSERT INTO models (name) VALUES ('grown')`);
    await records.db.query(
      `INSERT INTO model_versions (model_name, version, stage, run_id, architecture, labels, semantic_version, dataset, dataset_version,
         dataset_digest, bundle_key, bundle_sha256, size_bytes, evaluation)
       VALUES ('grown', 1, 'Production', 'r', 'efficientnet-lite0', '["x", "y"]', '1.0.0', 'grown', 1, 'd', 'k', repeat('a', 64), 1,
         '{"accuracy": 0.9}')`,
    );
    expect(await growth()).toMatchObject({ datasetVersion: 1, images: 6, newImages: 0 });
    const edits = createDatasetEdits(records.db);
    const change = { action: 'relabel', label: 'y' } as const;
    const correcting = { dataset: 'grown', sha256, change, reason: null, by, check: () => undefined };
    await edits.correct(correcting, planVersion);
    expect(await growth()).toMatchObject({ datasetVersion: 2, images: 6, newImages: 1 });
    await createErasureStore(records.db).begin({ kind: 'image', subject: sha256, reason: 'asked' }, by);
    expect(await growth()).toMatchObject({ datasetVersion: 2, images: 5, newImages: 0 });
  });
});
