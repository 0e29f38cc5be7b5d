import type { Client, WorkflowExecutionStatusName } from '@temporalio/client';
import type { Logger } from '../../platform/logging.js';
import { isOpen, statusOfRun } from '../../platform/temporal/run-status.js';
import type {
  BatchEnd,
  BatchPrediction,
  BatchPredictionStore,
} from '../../stores/batch-predictions/batch-predictions.js';
import type { PipelineStore } from '../../stores/pipelines/pipelines.js';
import type { TemporalLink } from '../workflows/temporal-link.js';

export interface ReconcileBatchesOptions {
  batchPredictions: BatchPredictionStore;
  pipelines: Pick<PipelineStore, 'close'>;
  temporal: Pick<TemporalLink, 'use'>;
  logger: Pick<Logger, 'warn'>;
}

/** A job with a recent write counts as running; Temporal is asked only about the others. */
const quietMs = 5_000;
/** How long reading a job waits for Temporal's answer. */
const patienceMs = 1_500;

/**
 * The store of batch predictions, which closes jobs whose workflow was terminated in Temporal and could not write its
 * end: reading such a job closes it. While Temporal does not answer, jobs stay unchanged.
 */
export function reconcileBatches(options: ReconcileBatchesOptions): BatchPredictionStore {
  const { batchPredictions: store } = options;
  return {
    ...store,
    async get(id) {
      const job = await store.get(id);
      return (await endIfOver(options, job)) ? store.get(id) : job;
    },
    async known(id, request) {
      const job = await store.known(id, request);
      return job && (await endIfOver(options, job)) ? store.get(id) : job;
    },
    async list(query) {
      const page = await store.list(query);
      const ended = await Promise.all(page.items.map((job) => endIfOver(options, job)));
      return ended.includes(true) ? store.list(query) : page;
    },
  };
}

/** Whether this call closed the job. */
async function endIfOver(
  { batchPredictions, pipelines, temporal, logger }: ReconcileBatchesOptions,
  job: BatchPrediction,
): Promise<boolean> {
  const { id, workflowId, runId } = job;
  if (runId === null || !isQuiet(job)) return false;
  try {
    const end = await temporal.use((client) => endOf(client, workflowId, runId, job), patienceMs);
    if (!end) return false;
    await batchPredictions.close(id, end);
    await pipelines.close(runId, { status: end.status, ...(end.error && { error: end.error }) });
    return true;
  } catch (error) {
    logger.warn({ error, job: id }, 'Temporal did not answer whether a batch prediction is still running');
    return false;
  }
}

function isQuiet({ status, createdAt, startedAt, listedAt, lastChunkAt }: BatchPrediction): boolean {
  if (status !== 'waiting' && status !== 'running') return false;
  const words = [createdAt, startedAt, listedAt, lastChunkAt].flatMap((at) => (at === null ? [] : [Date.parse(at)]));
  return Date.now() - Math.max(...words) > quietMs;
}

/** Null while its workflow is running. */
async function endOf(
  client: Client,
  workflowId: string,
  runId: string,
  { done, items }: BatchPrediction,
): Promise<BatchEnd | null> {
  const status = await statusOfRun(client, workflowId, runId);
  if (isOpen(status)) return null;
  const isFailure = status === 'FAILED' || status === 'TIMED_OUT';
  const what = {
    why: status === null ? 'Temporal no longer knows its workflow' : `its workflow was ${reasonFor(status)}`,
    reach: `${done} of ${items ?? 'its'} images`,
  };
  const message = `The job was terminated after ${what.reach}: ${what.why}, so its results are incomplete. Start another one with a new Idempotency-Key.`;
  return isFailure
    ? { status: 'failed', error: { code: 'internal', message } }
    : { status: 'cancelled', error: { code: 'cancelled', message } };
}

function reasonFor(status: WorkflowExecutionStatusName): string {
  return status === 'TERMINATED' ? 'terminated' : `closed as ${status.toLowerCase().replaceAll('_', ' ')}`;
}
