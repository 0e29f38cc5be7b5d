import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../../../../platform/logging.js';
import { packageRoot } from '../../../../platform/paths.js';
import { createDatabase, type Database } from '../../../../stores/postgres/database.js';
import { migrate } from '../../../../stores/postgres/migrate.js';
import { createPredictionStore } from '../../../../stores/predictions/predictions.js';
import { startPostgres, type TestService } from '../../../support/services.js';

const migrations = join(packageRoot, 'stores', 'migrations');
const isOfServing = (name: string): boolean => name >= '0015' && name < '0018';

let postgres: TestService & { url: string };
let db: Database;
let folder: string;
beforeAll(async () => {
  postgres = await startPostgres();
  db = createDatabase({ url: postgres.url, poolSize: 2, logger: createLogger('test', 'silent') });
  folder = await mkdtemp(join(tmpdir(), 'perennial-migrations-'));
  for (const name of await readdir(migrations)) {
    if (!isOfServing(name)) await copyFile(join(migrations, name), join(folder, name));
  }
  await migrate(db, folder);
});
afterAll(async () => {
  await db.close();
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

const months = ['2026-01', '2026-02', '2026-03', '2026-04'];
const idOf = (month: string, number = 0): string =>
  `${month.replace('-', '').padStart(8, '0')}-0000-7000-8000-${String(number).padStart(12, '0')}`;

async function plant(month: string, route = 'predict', number = 0): Promise<void> {
  await db.query(
    `INSERT INTO predictions (id, created_at, model_name, version, generation, replica, bundle_sha256, predicted,
       confidence, probabilities, image_sha256, latency_ms, route)
     VALUES ($1, $2, 'old', 1, 1, 'r', 'b', 'grass', 0.9, '{"grass": 0.9, "tulip": 0.1}', $3, 1, $4)`,
    [idOf(month, number), `${month}-10T00:00:00Z`, 'a'.repeat(64), route],
  );
}

async function say(month: string, label: string, actor: string | null): Promise<void> {
  await db.query(
    `INSERT INTO feedback (prediction_id, prediction_created_at, model_name, version, predicted, label, actor, contradicts)
     VALUES ($1, $2, 'old', 1, 'grass', $3, $4, false)`,
    [idOf(month), `${month}-10T00:00:00Z`, label, actor],
  );
}

it('migrates predictions of many months with their labels', async () => {
  for (const month of months) {
    if (month !== '2026-04') await db.query('SELECT make_prediction_partition($1)', [`${month}-01T00:00:00Z`]);
    await plant(month);
  }
  await say('2026-01', 'grass', 'ada');
  await say('2026-02', 'grass', 'ada');
  await say('2026-02', 'tulip', 'bob');
  await say('2026-03', 'tulip', null);
  await say('2026-03', 'grass', null);

  await migrate(db);

  const migrated = await db.query(
    'SELECT DISTINCT variant, distance, unfamiliar, neighbour, abstained FROM predictions',
  );
  expect(migrated).toEqual([{ variant: 'fp32', distance: null, unfamiliar: false, neighbour: null, abstained: false }]);
  const labels = await db.query(
    `SELECT to_char(prediction_created_at, 'YYYY-MM') AS month, label, decided, conflicted FROM prediction_labels ORDER BY 1`,
  );
  expect(labels).toEqual([
    { month: '2026-01', label: 'grass', decided: false, conflicted: false },
    { month: '2026-02', label: 'tulip', decided: false, conflicted: true },
    { month: '2026-03', label: 'grass', decided: false, conflicted: false },
  ]);
  const counts = await db.query('SELECT label, predictions::int FROM label_counts ORDER BY 1');
  expect(counts).toEqual([
    { label: 'grass', predictions: 2 },
    { label: 'tulip', predictions: 1 },
  ]);
});

it('lets every partition, old and new, store the routes of this release, and no other', async () => {
  await db.query(`SELECT make_prediction_partition('2026-04-01T00:00:00Z')`);
  await createPredictionStore(db).makePartitions();
  let number = 1;
  for (const month of [...months, '2026-07', new Date().toISOString().slice(0, 7)]) {
    for (const route of ['predict', 'predict_batch', 'invocations', 'v2', 'explain']) {
      await plant(month, route, number);
      number += 1;
    }
    await expect(plant(month, 'elsewhere', number)).rejects.toThrow('predictions_route_check');
  }
  const [found] = await db.query(`SELECT count(*)::int AS total FROM predictions WHERE route <> 'predict'`);
  expect(found).toEqual({ total: 24 });
  const [stray] = await db.query('SELECT count(*)::int AS total FROM predictions_default');
  expect(stray).toEqual({ total: 5 });
});

it('counts a new label of an old prediction', async () => {
  await say('2026-01', 'tulip', 'bob');
  const counts = await db.query('SELECT label, predictions::int FROM label_counts ORDER BY 1');
  expect(counts).toEqual([
    { label: 'grass', predictions: 1 },
    { label: 'tulip', predictions: 2 },
  ]);
});
