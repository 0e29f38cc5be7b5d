import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { createLogger } from '../../../../platform/logging.js';
import { packageRoot } from '../../../../platform/paths.js';
import { nextSemanticVersion } from '../../../../domain/registry/semantic-version.js';
import type { Lineage } from '../../../../contracts/registry/registry.js';
import { createDatabase, type Database } from '../../../../stores/postgres/database.js';
import { migrate } from '../../../../stores/postgres/migrate.js';
import { startPostgres, type TestService } from '../../../support/services.js';

const migrations = join(packageRoot, 'stores', 'migrations');

let postgres: TestService & { url: string };
let db: Database;
let folder: string;
beforeAll(async () => {
  postgres = await startPostgres();
  db = createDatabase({ url: postgres.url, poolSize: 2, logger: createLogger('test', 'silent') });
  folder = await mkdtemp(join(tmpdir(), 'perennial-migrations-'));
});
afterAll(async () => {
  await db.close();
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

const plain: Lineage = { architecture: 'cnn', labels: ['a', 'b'], dataset: 'flowers', datasetDigest: 'one' };
const versions: Lineage[] = [
  plain,
  plain,
  { ...plain, datasetDigest: 'two' },
  { ...plain, datasetDigest: 'two' },
  { ...plain, architecture: 'efficientnet-lite0', datasetDigest: 'three' },
  { ...plain, architecture: 'efficientnet-lite0', datasetDigest: 'two' },
  { ...plain, labels: ['a', 'b', 'c'] },
];

describe('versions that were registered before they had semantic versions', () => {
  it('get those the rule would have given them, and count as checked', async () => {
    for (const name of await readdir(migrations)) {
      if (name < '0007') await copyFile(join(migrations, name), join(folder, name));
    }
    await migrate(db, folder);
    await db.query(`INSERT INTO models (name) VALUES ('old'), ('other')`);
    await plant('old', versions);
    await plant('other', [plain]);

    await migrate(db);
    const rows = await db.rows(
      z.object({ semanticVersion: z.string(), isVerified: z.boolean(), revision: z.number() }),
      `SELECT semantic_version, verified_at = created_at AS is_verified, revision FROM model_versions
       WHERE model_name = 'old' ORDER BY version`,
    );
    expect(rows.map(({ semanticVersion }) => semanticVersion)).toEqual(ruled(versions));
    expect(rows.every(({ isVerified, revision }) => isVerified && revision === 1)).toBe(true);
    expect(await db.query(`SELECT semantic_version FROM model_versions WHERE model_name = 'other'`)).toEqual([
      { semanticVersion: '1.0.0' },
    ]);
  });
});

function ruled(lineages: readonly Lineage[]): string[] {
  const given: string[] = [];
  lineages.forEach((next, index) => {
    const latest = lineages[index - 1];
    const greatest = given.at(-1);
    given.push(
      nextSemanticVersion(
        next,
        latest && greatest !== undefined ? { latest, network: latest.architecture, greatest } : null,
      ),
    );
  });
  return given;
}

async function plant(modelName: string, lineages: readonly Lineage[]): Promise<void> {
  for (const [index, { architecture, labels, dataset, datasetDigest }] of lineages.entries()) {
    await db.query(
      `INSERT INTO model_versions (model_name, version, stage, run_id, architecture, labels, dataset, dataset_version,
         dataset_digest, bundle_key, bundle_sha256, size_bytes, evaluation)
       VALUES ($1, $2, 'Archived', $3, $4, $5, $6, 1, $7, 'k', $8, 1, '{}')`,
      [
        modelName,
        index + 1,
        `${modelName}-${index}`,
        architecture,
        JSON.stringify(labels),
        dataset,
        datasetDigest,
        '0'.repeat(64),
      ],
    );
  }
}
