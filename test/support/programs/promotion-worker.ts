import { NativeConnection } from '@temporalio/worker';
import { accuracyOf } from '../../../domain/predictions/accuracy.js';
import { createStores } from '../../../stores/create-stores.js';
import { loadConfig } from '../../../platform/config.js';
import { createLogger } from '../../../platform/logging.js';
import { createDatabase } from '../../../stores/postgres/database.js';
import { withFaults } from '../faults.js';
import { createPromotionWorker, promotionActivities } from '../promotion-fixture.js';

/**
 * A worker for promotions as a separate program: `promotion-worker.js <activity>`. It kills itself right after that
 * activity has done its work, before it reports the result.
 */
const [mortal = ''] = process.argv.slice(2);
const config = loadConfig();
const database = createDatabase({
  url: config.DATABASE_URL ?? '',
  poolSize: 10,
  logger: createLogger('test', 'silent'),
});
const activities = await promotionActivities(createStores(database, accuracyOf));
const connection = await NativeConnection.connect({ address: config.TEMPORAL_ADDRESS ?? '' });
const death = {
  activity: mortal,
  moment: 'after',
  strike: () => process.kill(process.pid, 'SIGKILL'),
} as const;
const worker = await createPromotionWorker(connection, database, withFaults(activities, [death]));
console.log('up');
await worker.run();
