import { randomUUID } from 'node:crypto';
import { WorkflowFailedError, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Context } from '@temporalio/activity';
import type { BatchResult } from '../../../contracts/batch-predictions/batch-predictions.js';
import type { BatchEnd } from '../../../stores/batch-predictions/batch-predictions.js';
import type { batchPredict } from '../../../workflows/batch-predict.js';
import type { Progress } from '../../../contracts/workflows/runs.js';
import { createFakeActivities, type AllActivities, type Written } from '../../support/fake-activities.js';
import { startWorkflowServer, type WorkflowServer } from '../../support/workflow-server.js';

type Handle = WorkflowHandleWithFirstExecutionRunId<typeof batchPredict>;

describe('batchPredict', () => {
  let server: WorkflowServer;
  beforeAll(async () => {
    server = await startWorkflowServer();
  });
  afterAll(() => server.stop());

  const run = (
    replaced: Partial<AllActivities>,
    meanwhile: (handle: Handle) => Promise<void> = () => Promise.resolve(),
  ): Promise<{ result: BatchResult | Error; written: Written; ends: BatchEnd[] }> => {
    const ends: BatchEnd[] = [];
    const closeBatch: AllActivities['closeBatch'] = ({ end }) => Promise.resolve(void ends.push(end));
    const { activities, written } = createFakeActivities({ closeBatch, ...replaced });
    return server.withWorkers(activities, async () => {
      const handle = await server.client.workflow.start<typeof batchPredict>('batchPredict', {
        workflowId: `batch-${randomUUID()}`,
        taskQueue: 'pipeline',
        args: [{ jobId: randomUUID(), modelName: 'm', dataset: null }],
      });
      await meanwhile(handle);
      const result = await handle.result().catch((error: unknown) => {
        if (error instanceof WorkflowFailedError) return error;
        throw error;
      });
      return { result, written, ends };
    });
  };

  it('predicts every chunk once, merges, and is recorded', async () => {
    const chunks: number[] = [];
    const { result, written, ends } = await run({
      predictBatchChunk: ({ chunk }) => {
        chunks.push(chunk);
        return Promise.resolve({ items: 100, failed: 0 });
      },
    });
    expect(result).toMatchObject({ items: 250, predicted: { grass: 250 } });
    expect(chunks.sort()).toEqual([0, 1, 2]);
    expect(written.opened).toEqual(['batchPredict']);
    expect(written.ends).toMatchObject([{ status: 'completed', result: { items: 250 } }]);
    expect(ends).toEqual([{ status: 'completed', error: null }]);
    expect(written.calls).toContain('discardBatchUpload');
  });

  it('continues as new when there are many chunks, and repeats none', async () => {
    const chunks: number[] = [];
    const { result, written, ends } = await run({
      listBatchItems: () => Promise.resolve({ items: 41_000, chunks: 410 }),
      predictBatchChunk: ({ chunk }) => {
        chunks.push(chunk);
        return Promise.resolve({ items: 100, failed: 0 });
      },
    });
    expect(result).toMatchObject({ items: 250 });
    expect(chunks.sort((one, other) => one - other)).toEqual(Array.from({ length: 410 }, (_, chunk) => chunk));
    expect(written.calls.filter((call) => call === 'listBatchItems')).toHaveLength(1);
    // One for each of the runs it took.
    expect(written.opened).toHaveLength(3);
    expect(ends).toHaveLength(1);
  });

  it('stops at a chunk that cannot be predicted, keeps the results so far, and reports why', async () => {
    const { result, written, ends } = await run({
      listBatchItems: () => Promise.resolve({ items: 2_000, chunks: 20 }),
      predictBatchChunk: ({ chunk }) =>
        chunk === 3
          ? Promise.reject(ApplicationFailure.nonRetryable('Version 1 of m was deleted.', 'not_found'))
          : Promise.resolve({ items: 100, failed: 0 }),
    });
    expect(result).toBeInstanceOf(WorkflowFailedError);
    const error = { code: 'not_found', message: 'Version 1 of m was deleted.' };
    expect(ends).toEqual([{ status: 'failed', error }]);
    expect(written.ends).toMatchObject([{ status: 'failed', error }]);
    expect(written.calls).toContain('mergeBatchResults');
    expect(written.calls).not.toContain('discardBatchUpload');
    expect(written.calls.filter((call) => call === 'predictBatchChunk').length).toBeLessThan(20);
  });

  it('fails with its reason also when the results cannot be merged', async () => {
    const { ends } = await run({
      predictBatchChunk: () => Promise.reject(ApplicationFailure.nonRetryable('gone', 'not_found')),
      mergeBatchResults: () => Promise.reject(ApplicationFailure.nonRetryable('no', 'object_store_refused')),
    });
    expect(ends).toMatchObject([{ status: 'failed', error: { code: 'not_found' } }]);
  });

  it('is cancelled between and within chunks, and keeps the results so far', async () => {
    const stopped: number[] = [];
    let begun = (): void => undefined;
    const isBegun = new Promise<void>((resolve) => (begun = resolve));
    const { result, written, ends } = await run(
      {
        predictBatchChunk: async ({ chunk }) => {
          if (chunk === 0) return { items: 100, failed: 0 };
          if (chunk === 2) begun();
          const context = Context.current();
          const beat = setInterval(() => context.heartbeat(), 200);
          // Ends by cancellation only, which the heartbeat brings.
          await context.cancelled.finally(() => {
            clearInterval(beat);
            stopped.push(chunk);
          });
          return { items: 100, failed: 0 };
        },
      },
      async (handle) => {
        await isBegun;
        const progress = await handle.query<Progress>('progress');
        expect(progress.steps[1]).toMatchObject({ name: 'predict', detail: '100 of 250 images' });
        await handle.cancel();
      },
    );
    expect(result).toBeInstanceOf(WorkflowFailedError);
    expect(stopped.sort()).toEqual([1, 2]);
    expect(ends).toMatchObject([{ status: 'cancelled' }]);
    expect(written.ends).toMatchObject([{ status: 'cancelled' }]);
    expect(written.calls).toContain('mergeBatchResults');
  });
});
