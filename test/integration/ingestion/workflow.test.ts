import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { WorkflowFailedError, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { BatchResult } from '../../../activities/ingestion/ingest-batch.js';
import { createIngestionActivities } from '../../../activities/ingestion/activities.js';
import { createRecordActivities } from '../../../activities/runtime/records.js';
import { ingestionSteps, ingestionWorkflowId, workflowTypes } from '../../../contracts/names.js';
import type { Source } from '../../../contracts/datasets/datasets.js';
import { createPipelineStore } from '../../../stores/pipelines/pipelines.js';
import type { ingestDataset } from '../../../workflows/index.js';
import { createFakeActivities } from '../../support/fake-activities.js';
import { classFolders, startIngestionFixture } from '../../support/ingestion-fixture.js';
import { startWorkflowServer, type WorkflowServer } from '../../support/workflow-server.js';

let server: WorkflowServer;
beforeAll(async () => {
  server = await startWorkflowServer();
});
afterAll(() => server.stop());

type Handle = WorkflowHandleWithFirstExecutionRunId<typeof ingestDataset>;

function start(source: Source = { kind: 'folder', path: '/photographs' }): Promise<Handle> {
  return server.client.workflow.start<typeof ingestDataset>(workflowTypes.ingestDataset, {
    workflowId: ingestionWorkflowId('flowers', randomUUID()),
    taskQueue: 'pipeline',
    args: [{ dataset: 'flowers', source, trigger: 'manual', requestId: randomUUID() }],
  });
}

/** Of the test that continues as new: seventeen batches. */
const files = 17_000;

function batchResult(pending: number): BatchResult {
  return { pending, accepted: files - pending, quarantined: 0, newImages: files - pending, duplicates: 0 };
}

describe('ingestDataset', () => {
  it('runs its steps in order and describes each', async () => {
    const { activities, written } = createFakeActivities();
    await server.withWorkers(activities, async () => (await start()).result());
    const completed = written.steps.filter(({ status }) => status === 'completed');
    expect(completed.map(({ name }) => name)).toEqual(ingestionSteps);
    expect(completed.every(({ detail }) => (detail ?? '') !== '')).toBe(true);
    expect(written.ends).toMatchObject([{ status: 'completed', result: { version: 1 } }]);
  });

  it('continues as new after many batches, with one ingestion and one run record', async () => {
    let pending = files;
    const ids = new Set<string>();
    const { activities, written } = createFakeActivities({
      scanSource: () => Promise.resolve({ files, refused: 0 }),
      ingestBatch: ({ ingestionId, limit }) => {
        ids.add(ingestionId);
        pending -= limit;
        return Promise.resolve(batchResult(pending));
      },
    });
    await server.withWorkers(activities, async () => {
      const handle = await start();
      await handle.result();
      const lastRun = await server.client.workflow.getHandle(handle.workflowId).describe();
      expect(lastRun.runId).not.toBe(handle.firstExecutionRunId);
      expect([...ids]).toEqual([handle.firstExecutionRunId]);
    });
    expect(written.calls.filter((name) => name === 'scanSource')).toHaveLength(1);
    expect(written.ends).toMatchObject([{ status: 'completed' }]);
  });

  it('closes its run record with the code of the failure, and deletes its file list', async () => {
    const { activities, written } = createFakeActivities({
      scanSource: () => Promise.reject(ApplicationFailure.nonRetryable('There are no files.', 'source_empty')),
    });
    await server.withWorkers(activities, async () => {
      await expect((await start()).result()).rejects.toThrow(WorkflowFailedError);
    });
    expect(written.calls).toContain('abandonIngestion');
    expect(written.ends).toMatchObject([{ status: 'failed', error: { code: 'source_empty' } }]);
  });

  it('is cancelled between batches and deletes its file list', async () => {
    let handle: Handle | null = null;
    const { activities, written } = createFakeActivities({
      ingestBatch: async () => {
        await handle?.cancel();
        return batchResult(4000);
      },
    });
    await server.withWorkers(activities, async () => {
      handle = await start();
      await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
    });
    expect(written.calls).toContain('abandonIngestion');
    expect(written.calls).not.toContain('commitDatasetVersion');
    expect(written.ends).toMatchObject([{ status: 'cancelled', error: { code: 'cancelled' } }]);
  });

  it('removes the originals of an upload after the commit', async () => {
    const uploadId = randomUUID();
    const { activities, written } = createFakeActivities({
      resolveSource: () => Promise.resolve({ kind: 'upload', locator: uploadId, isDefault: false, note: null }),
    });
    await server.withWorkers(activities, async () => (await start({ kind: 'upload', uploadId })).result());
    expect(written.calls.indexOf('discardUpload')).toBeGreaterThan(written.calls.indexOf('commitDatasetVersion'));
  });

  it('completes without loss when the object store and Postgres are unavailable in the middle', async () => {
    const fixture = await startIngestionFixture();
    try {
      let puts = 0;
      const outages: string[] = [];
      const interrupt = async (name: string, service: typeof fixture.objectServer): Promise<void> => {
        outages.push(name);
        await service.pause();
        void pause(1_500).then(() => service.resume());
      };
      const put: typeof fixture.deps.objects.put = async (...args) => {
        puts += 1;
        if (puts === 10) await interrupt('object store', fixture.objectServer);
        if (puts === 30) await interrupt('postgres', fixture.database.postgres);
        await fixture.deps.objects.put(...args);
      };
      const path = fixture.folder(await classFolders({ dandelion: 30, grass: 30 }));
      const pipelines = createPipelineStore(fixture.database.db);
      const { activities } = createFakeActivities({
        ...createIngestionActivities({ ...fixture.deps, objects: { ...fixture.deps.objects, put } }),
        ...createRecordActivities({ pipelines }),
      });
      await server.withWorkers(activities, async () => {
        const handle = await start({ kind: 'folder', path });
        const result = await handle.result();
        expect(result).toMatchObject({ version: 1, files: 60, quarantined: 0, newImages: 60 });
        const record = await pipelines.get(handle.firstExecutionRunId);
        expect(record).toMatchObject({ status: 'completed', result: { version: 1 } });
        expect(record?.steps.map(({ status }) => status)).toEqual(ingestionSteps.map(() => 'completed'));
      });
      expect(outages).toEqual(['object store', 'postgres']);
    } finally {
      await fixture.stop();
    }
  });
});
