import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NativeConnection } from '@temporalio/worker';
import { loadConfig } from '../../../platform/config.js';
import { createLogger } from '../../../platform/logging.js';
import { createDatabase } from '../../../stores/postgres/database.js';
import { createObjectStore } from '../../../stores/objects/object-store.js';
import { batchActivities } from '../batch-fixture.js';
import { createPromotionWorker } from '../promotion-fixture.js';

/**
 * A worker for batch predictions as a separate program that tests kill: it prints each finished chunk. After the first it
 * begins others and finishes none, so that some are left however late it is killed.
 */
let isOneDone = false;
const config = loadConfig();
const logger = createLogger('test', 'silent');
const database = createDatabase({ url: config.DATABASE_URL ?? '', poolSize: 10, logger });
const objects = createObjectStore({ ...config, S3_ENDPOINT: config.S3_ENDPOINT ?? '' });
const { activities } = batchActivities(database, objects, await mkdtemp(join(tmpdir(), 'perennial-test-batch-')));
const connection = await NativeConnection.connect({ address: config.TEMPORAL_ADDRESS ?? '' });
const worker = await createPromotionWorker(connection, database, {
  ...activities,
  async predictBatchChunk(input) {
    console.log(`begun ${input.chunk}`);
    if (isOneDone) await new Promise(() => undefined);
    const result = await activities.predictBatchChunk(input);
    isOneDone = true;
    console.log(`done ${input.chunk}`);
    return result;
  },
});
console.log('up');
await worker.run();
