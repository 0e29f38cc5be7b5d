import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { WorkflowFailedError } from '@temporalio/client';
import type { AskedRequest } from '../../../activities/retraining/request-activities.js';
import { progressQuery } from '../../../contracts/names.js';
import type { Progress } from '../../../contracts/workflows/runs.js';
import type { RetrainingRequest } from '../../../contracts/retraining/retraining.js';
import type { requestRetraining, RequestResult } from '../../../workflows/request-retraining.js';
import { createFakeActivities, type AllActivities, type Written } from '../../support/fake-activities.js';
import { startWorkflowServer, type WorkflowServer } from '../../support/workflow-server.js';

let server: WorkflowServer;
beforeAll(async () => {
  server = await startWorkflowServer();
});
afterAll(() => server.stop());

const request: RetrainingRequest = {
  modelName: 'm',
  dataset: null,
  kind: 'continuous_training',
  trigger: 'schedule',
  requestId: null,
};

function run(
  replaced: Partial<AllActivities> = {},
  changes: Partial<RetrainingRequest> = {},
): Promise<{ result: RequestResult; written: Written; runId: string; steps: string[] }> {
  const { activities, written } = createFakeActivities(replaced);
  return server.withWorkers(activities, async () => {
    const handle = await server.client.workflow.start<typeof requestRetraining>('requestRetraining', {
      workflowId: `request-${randomUUID()}`,
      taskQueue: 'pipeline',
      args: [{ ...request, ...changes }],
    });
    const result = await handle.result();
    const { steps } = await handle.query<Progress>(progressQuery);
    const states = steps.map(({ name, status }) => `${name} ${status}`);
    return { result, written, runId: handle.firstExecutionRunId, steps: states };
  });
}

const folder = { kind: 'folder', path: '/photographs' } as const;

describe('requestRetraining', () => {
  it('looks for new files, decides, and starts the retraining with the id of its run', async () => {
    const asked: AskedRequest[] = [];
    const { result, written, runId } = await run({
      foldersToRescan: () => Promise.resolve({ dataset: 'flowers', sources: [folder] }),
      decideOnRetraining: (each) => {
        asked.push(each);
        return Promise.resolve({ decision: 'retrain', reason: 'there are new images' });
      },
    });
    expect(result).toEqual({ decision: 'retrain', reason: 'there are new images', runId: 'run' });
    expect(asked).toMatchObject([{ requestId: runId, scheduledFor: null, notes: [] }]);
    const order = ['foldersToRescan', 'commitDatasetVersion', 'decideOnRetraining', 'startDecidedRetraining'];
    expect(written.calls.filter((call) => order.includes(call))).toEqual(order);
  });

  it('starts nothing when the decision is to skip', async () => {
    const { result, written, steps } = await run({
      decideOnRetraining: () => Promise.resolve({ decision: 'skip', reason: 'Skipped: nothing changed' }),
    });
    expect(steps).toEqual(['look_for_new_files completed', 'decide completed', 'start_retraining skipped']);
    expect(result).toEqual({ decision: 'skip', reason: 'Skipped: nothing changed', runId: null });
    expect(written.calls).not.toContain('startDecidedRetraining');
  });

  it('leaves the search for new files to the pipeline for the weekly schedule', async () => {
    const { written, steps } = await run({}, { kind: 'mlops_retraining_pipeline', requestId: 'given' });
    expect(written.calls).not.toContain('foldersToRescan');
    expect(steps[0]).toBe('look_for_new_files skipped');
  });

  it.each(['source_not_found', 'source_unreachable'])('decides without a folder that fails with %s', async (code) => {
    const asked: AskedRequest[] = [];
    const { result } = await run({
      foldersToRescan: () => Promise.resolve({ dataset: 'flowers', sources: [folder] }),
      resolveSource: () => Promise.reject(ApplicationFailure.nonRetryable('/photographs is not there.', code)),
      decideOnRetraining: (each) => {
        asked.push(each);
        return Promise.resolve({ decision: 'skip', reason: 'Skipped' });
      },
    });
    expect(result.decision).toBe('skip');
    expect(asked[0]?.notes).toEqual(['/photographs is not there. Its images stay in the dataset.']);
  });

  it('records in the decision that the run could not be started', async () => {
    const noted: unknown[] = [];
    const failed = run({
      startDecidedRetraining: () => Promise.reject(ApplicationFailure.nonRetryable('Temporal refused', 'bad_request')),
      noteUnstartedRetraining: (note) => Promise.resolve(void noted.push(note)),
    });
    await expect(failed).rejects.toThrow(WorkflowFailedError);
    expect(noted).toMatchObject([{ message: 'Temporal refused' }]);
  });
});
