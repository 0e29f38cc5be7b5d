import type { Source } from '../../contracts/datasets/datasets.js';
import type { IngestionResult } from '../../contracts/datasets/ingestion.js';
import { settleUpload } from '../../stores/datasets/uploads.js';
import { commitVersion } from './commit-version.js';
import type { IngestionDependencies } from './dependencies.js';
import { ingestBatch, type BatchResult } from './ingest-batch.js';
import { existingSplitOf, resolveSource, type ResolvedSource } from './resolve-source.js';
import { identifyPixels } from './identify-pixels.js';
import { scanSource, type ScanResult } from './scan-source.js';
import { adviseOnVanished, namedPlace } from './vanished-source.js';
import { withHeartbeat } from '../runtime/heartbeat.js';

/**
 * The steps of an ingestion. Its state is in Postgres, file by file, under the id given to the first step, so every step
 * can be repeated and continues where it stopped.
 */
export interface IngestionActivities {
  resolveSource(input: {
    ingestionId: string;
    dataset: string;
    source: Source;
    replaces?: number | undefined;
  }): Promise<ResolvedSource>;
  scanSource(input: { ingestionId: string }): Promise<ScanResult>;
  /** Processes at most `limit` files; `pending` is the number of files left. */
  ingestBatch(input: { ingestionId: string; limit: number }): Promise<BatchResult>;
  commitDatasetVersion(input: { ingestionId: string }): Promise<IngestionResult>;
  /** Deletes uploaded originals, which are now stored by content, except refused ones. */
  discardUpload(input: { uploadId: string }): Promise<void>;
  /** Deletes the file list of a failed ingestion, except refused files, whose bytes can be read from then on. */
  abandonIngestion(input: { ingestionId: string }): Promise<void>;
}

export function createIngestionActivities(deps: IngestionDependencies): IngestionActivities {
  const { ingestions } = deps;
  return {
    resolveSource: ({ ingestionId, dataset, source, replaces }) =>
      withHeartbeat(async (report, signal) => {
        deps.threads.warm();
        const resolved = await resolveSource(deps, { dataset, source }, report, signal).catch(
          async (error: unknown) => {
            throw await adviseOnVanished(deps, namedPlace(dataset, source), error);
          },
        );
        const split = existingSplitOf(source);
        const opened = await ingestions.open({ id: ingestionId, dataset, ...resolved, replaces, split });
        const { kind, locator, isDefault, note } = opened;
        return { kind, locator, isDefault, note };
      }),
    scanSource: ({ ingestionId }) =>
      withHeartbeat(async (report, signal) => {
        const ingestion = await ingestions.get(ingestionId);
        return scanSource(deps, ingestion, report, signal).catch(async (error: unknown) => {
          throw await adviseOnVanished(deps, ingestion, error);
        });
      }),
    ingestBatch: ({ ingestionId, limit }) =>
      withHeartbeat(async (report, signal) =>
        ingestBatch(deps, await ingestions.get(ingestionId), limit, report, signal),
      ),
    commitDatasetVersion: ({ ingestionId }) =>
      withHeartbeat(async (report, signal) => {
        const ingestion = await ingestions.get(ingestionId);
        await identifyPixels(deps, ingestion.dataset, report, signal);
        return commitVersion(deps, ingestion);
      }),
    discardUpload: ({ uploadId }) => withHeartbeat(() => settleUpload(deps, uploadId)),
    abandonIngestion: async ({ ingestionId }) => {
      const uploadId = await ingestions.abandon(ingestionId);
      if (uploadId !== null) await deps.uploads.markRefused(uploadId);
    },
  };
}
