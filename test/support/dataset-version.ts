import { randomUUID } from 'node:crypto';
import type { ImageFacts } from '../../contracts/datasets/datasets.js';
import { planVersion } from '../../domain/datasets/plan-version.js';
import { createDatasetCommits, type Committed } from '../../stores/datasets/dataset-commits.js';
import type { Database } from '../../stores/postgres/database.js';
import { createIngestionStore } from '../../stores/datasets/ingestions.js';

/** Metadata of an image that exists in the database only. */
export function factsOf(number: number): ImageFacts {
  const hex = number.toString(16);
  return {
    sha256: hex.padStart(64, '0'),
    md5: hex.padStart(32, '0'),
    sizeBytes: 1000 + number,
    format: 'jpeg',
    width: 100 + number,
    height: 50,
  };
}

/** Commits images, by label, as a version of a dataset, without any bytes. */
export async function commitImages(
  db: Database,
  dataset: string,
  images: Readonly<Record<string, readonly number[]>>,
  locator = '/photographs',
): Promise<Committed> {
  const ingestions = createIngestionStore(db);
  const id = randomUUID();
  const files = Object.entries(images).flatMap(([label, numbers]) =>
    numbers.map((number) => ({ path: `${label}/${String(number)}.jpg`, label, facts: factsOf(number) })),
  );
  await ingestions.open({ id, dataset, kind: 'folder', locator, isDefault: false, note: null });
  await ingestions.restartScan(id, 1);
  await ingestions.addFiles(id, 1, files);
  await ingestions.settle(
    id,
    files.map(({ path, facts }) => ({ path, sha256: facts.sha256, uploadedBytes: facts.sizeBytes })),
    files.map(({ facts }) => facts),
  );
  return createDatasetCommits(db).commit(id, planVersion);
}
