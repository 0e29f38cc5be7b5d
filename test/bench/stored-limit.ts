import { randomUUID } from 'node:crypto';
import { createIngestionStore } from '../../stores/datasets/ingestions.js';
import { createObjectStore } from '../../stores/objects/object-store.js';
import { loadConfig } from '../../platform/config.js';
import { startObjectStore } from '../support/services.js';
import { startTestDatabase } from '../support/test-database.js';
import { startLimit, type Keep } from './limits.js';

/**
 * The limit of an ingestion with what the bare limit leaves out: the upload of each image to the S3 server of an
 * ingestion, and, if `isRecorded`, its rows, 32 a transaction. The servers are new, as those of an ingestion; the time is
 * that of the threads alone.
 */
export async function timeStored(paths: readonly string[], isRecorded: boolean): Promise<number> {
  const [database, objectServer] = await Promise.all([startTestDatabase(), startObjectStore()]);
  const objects = createObjectStore({
    ...loadConfig(objectServer.environment),
    S3_ENDPOINT: objectServer.endpoint,
  });
  await objects.ensureBucket();
  const keep: Keep = { environment: { ...objectServer.environment, DATABASE_URL: database.url }, ingestionId: null };
  if (isRecorded) {
    const id = randomUUID();
    const ingestions = createIngestionStore(database.db);
    const source = { kind: 'folder', locator: '/', isDefault: false, note: null } as const;
    await ingestions.open({ id, dataset: 'measured', ...source });
    await ingestions.restartScan(id, 1);
    await ingestions.addFiles(
      id,
      1,
      paths.map((path) => ({ path, label: 'any' })),
    );
    keep.ingestionId = id;
  }
  const limit = await startLimit((core, cores) => ({
    kind: 'inspect',
    paths: paths.filter((_, index) => index % cores === core),
    keep,
  }));
  try {
    return await limit.run();
  } finally {
    await limit.end();
    objects.close();
    await Promise.all([database.stop(), objectServer.stop()]);
  }
}
