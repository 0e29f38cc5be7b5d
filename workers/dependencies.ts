import { NativeConnection } from '@temporalio/worker';
import { PerennialError, messageOf } from '../contracts/errors.js';
import { accuracyOf } from '../domain/predictions/accuracy.js';
import { serviceAddresses, type Config } from '../platform/config.js';
import type { Logger } from '../platform/logging.js';
import { prepare } from '../platform/prepare.js';
import { createStores, type Stores } from '../stores/create-stores.js';
import { createObjectStore, type ObjectStore } from '../stores/objects/object-store.js';
import { createDatabase, type Database } from '../stores/postgres/database.js';
import { migrate } from '../stores/postgres/migrate.js';
import { registerSearchAttributes } from './search-attributes.js';
import { createTemporalClient, type TemporalClient } from './temporal-client.js';

/** Connections and stores that both workers are built on. */
export interface WorkerDependencies extends Stores {
  database: Database;
  objects: ObjectStore;
  temporal: NativeConnection;
  temporalClient: TemporalClient;
  close(): Promise<void>;
}

/** Connects to Postgres, the object store and Temporal, waiting for those that are away, and brings the schema up to date. */
export async function connect(config: Config, logger: Logger): Promise<WorkerDependencies> {
  const { DATABASE_URL, S3_ENDPOINT, TEMPORAL_ADDRESS } = serviceAddresses(config, 'A worker');
  const database = createDatabase({ url: DATABASE_URL, poolSize: config.DATABASE_POOL_SIZE, logger });
  await untilPossible('bring the schema up to date', () => migrate(database), logger);
  const objects = createObjectStore({ ...config, S3_ENDPOINT });
  await untilPossible('find the bucket', () => objects.ensureBucket(), logger);
  const temporal = await untilPossible('reach Temporal', () => connectTemporal(config, TEMPORAL_ADDRESS), logger);
  await registerSearchAttributes(temporal, config.TEMPORAL_NAMESPACE, logger);
  return {
    database,
    objects,
    temporal,
    temporalClient: createTemporalClient(temporal, config.TEMPORAL_NAMESPACE, TEMPORAL_ADDRESS),
    ...createStores(database, accuracyOf),
    async close() {
      await temporal.close();
      objects.close();
      await database.close();
    },
  };
}

/** Nothing has begun yet that a signal would have to stop in order. */
function untilPossible<T>(what: string, work: () => Promise<T>, logger: Logger): Promise<T> {
  return new Promise((resolve, reject) => {
    prepare(what, async () => resolve(await work()), logger, new AbortController().signal).catch(reject);
  });
}

async function connectTemporal(config: Config, address: string): Promise<NativeConnection> {
  try {
    return await NativeConnection.connect({
      address,
      tls: config.TEMPORAL_TLS,
      ...(config.TEMPORAL_API_KEY !== undefined && { apiKey: config.TEMPORAL_API_KEY }),
    });
  } catch (error) {
    throw new PerennialError(
      'temporal_unavailable',
      `Temporal at ${address} cannot be reached (${messageOf(error)}); start it or set TEMPORAL_ADDRESS.`,
      { cause: error },
    );
  }
}
