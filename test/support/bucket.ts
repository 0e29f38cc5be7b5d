import { loadConfig } from '../../platform/config.js';
import { createObjectStore, type ObjectStore } from '../../stores/objects/object-store.js';
import { startObjectStore, type TestService } from './services.js';

export interface TestBucket {
  server: TestService & { endpoint: string };
  objects: ObjectStore;
  stop(): Promise<void>;
}

/** A real object store with an empty bucket. */
export async function startBucket(): Promise<TestBucket> {
  const server = await startObjectStore();
  const objects = createObjectStore({ ...loadConfig(server.environment), S3_ENDPOINT: server.endpoint });
  await objects.ensureBucket();
  return {
    server,
    objects,
    async stop() {
      objects.close();
      await server.stop();
    },
  };
}
