import { NativeConnection } from '@temporalio/worker';
import { PerennialError, messageOf } from '../contracts/errors.js';
import { accuracyOf } from '../domain/predictions/accuracy.js';
import { serviceAddresses, type Config } from '../platform/config.js';
import type { Logger } from '../platform/logging.js';
import { waitUntilAvailable } from '../platform/wait-until-available.js';
import { createStores, type Stores } from '../stores/create-stores.js';
import { createObjectStore, type ObjectStore } from '../stores/objects/object-store.js';
import { createSourceStore, type SourceStore } from '../stores/objects/source-store.js';
import { createDatabase, type Database } from '../stores/postgres/database.js';
import { migrate } from '../stores/postgres/migrate.js';
import { registerSearchAttributes } from './search-attributes.js';
import { createTemporalClient, type TemporalClient } from './temporal-client.js';

/** Connections and stores that both workers use. */
export interface WorkerDependencies extends Stores {
  database: Database;
  objects: ObjectStore;
  sourceObjects: SourceStore | undefined;
  temporal: NativeConnection;
  temporalClient: TemporalClient;
  close(): Promise<void>;
}

/** Connects to Postgres, the object store and Temporal, waiting until each is available, and migrates the schema. */
export async function connect(config: Config, logger: Logger): Promise<WorkerDependencies> {
  const { DATABASE_URL, S3_ENDPOINT, TEMPORAL_ADDRESS } = serviceAddresses(config, 'A worker');
  const database = createDatabase({ url: DATABASE_URL, poolSize: config.DATABASE_POOL_SIZE, logger });
  await retryUntilAvailable('migrate the schema', () => migrate(database), logger);
  const objects = createObjectStore({ ...config, S3_ENDPOINT });
  await retryUntilAvailable('find the bucket', () => objects.ensureBucket(), logger);
  const temporal = await retryUntilAvailable(
    'connect to Temporal',
    () => connectTemporal(config, TEMPORAL_ADDRESS),
    logger,
  );
  await registerSearchAttributes(temporal, config.TEMPORAL_NAMESPACE, logger);
  const sourceObjects = createSourceStore({ ...config, S3_ENDPOINT });
  return {
    database,
    objects,
    sourceObjects,
    temporal,
    temporalClient: createTemporalClient(temporal, config.TEMPORAL_NAMESPACE, TEMPORAL_ADDRESS),
    ...createStores(database, accuracyOf),
    async close() {
      await temporal.close();
      objects.close();
      sourceObjects?.close();
      await database.close();
    },
  };
}

/** Cannot be aborted: nothing has started yet that would need an orderly shutdown. */
function retryUntilAvailable<T>(what: string, work: () => Promise<T>, logger: Logger): Promise<T> {
  return new Promise((resolve, reject) => {
    waitUntilAvailable(what, async () => resolve(await work()), logger, new AbortController().signal).catch(reject);
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
      `Temporal at ${address} cannot be reached (${messageOf(error)}). Start it or set TEMPORAL_ADDRESS.`,
      { cause: error },
    );
  }
}
