import type { ImageFacts, PixelIdentity } from '../../contracts/datasets/datasets.js';
import { loadConfig } from '../../platform/config.js';
import { createLogger } from '../../platform/logging.js';
import { createIngestionStore, type FileOutcome } from '../../stores/datasets/ingestions.js';
import { rawImageKey } from '../../stores/objects/object-keys.js';
import { createObjectStore } from '../../stores/objects/object-store.js';
import { createDatabase } from '../../stores/postgres/database.js';
import type { Keep } from './limits.js';

/** As many as an ingestion records at once. */
const imagesPerTransaction = 32;

/** Uploads images as an ingestion does, and records them if there is an ingestion for it. */
export interface Keeper {
  keep(path: string, bytes: Uint8Array, facts: ImageFacts & PixelIdentity): Promise<void>;
  flush(): Promise<void>;
}

export function openKeeper({ environment, ingestionId }: Keep): Keeper {
  const config = loadConfig(environment);
  const [S3_ENDPOINT = '', url = ''] = [config.S3_ENDPOINT, config.DATABASE_URL];
  const objects = createObjectStore({ ...config, S3_ENDPOINT });
  const database = createDatabase({ url, poolSize: 2, logger: createLogger('bench', 'warn') });
  const ingestions = createIngestionStore(database);
  let kept: { path: string; facts: ImageFacts & PixelIdentity }[] = [];
  const flush = async (): Promise<void> => {
    const taken = kept;
    kept = [];
    if (ingestionId === null || taken.length === 0) return;
    const outcomes = taken.map(({ path, facts }): FileOutcome => ({
      path,
      sha256: facts.sha256,
      uploadedBytes: facts.sizeBytes,
    }));
    await ingestions.settle(
      ingestionId,
      outcomes,
      taken.map(({ facts }) => facts),
    );
  };
  return {
    async keep(path, bytes, facts) {
      await objects.put(rawImageKey(facts.md5), bytes, `image/${facts.format}`);
      kept.push({ path, facts });
      if (kept.length >= imagesPerTransaction) await flush();
    },
    flush,
  };
}
