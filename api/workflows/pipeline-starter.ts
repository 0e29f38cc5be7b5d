import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { PerennialError } from '../../contracts/errors.js';
import {
  createRunStarter,
  firstRunOf,
  type RunStarter,
  type StarterOptions,
} from '../../platform/temporal/run-starter.js';
import type { TemporalLink } from './temporal-link.js';

export type { StartedRun } from '../../platform/temporal/run-starter.js';

/** Starts and cancels workflows. */
export interface PipelineStarter extends RunStarter {
  /** Throws `temporal_unavailable` if Temporal cannot be reached. */
  reach(): Promise<void>;
  /** Requests cancellation of a run. Throws `conflict` if it has ended. */
  cancel(run: { workflowId: string; runId: string }): Promise<void>;
}

export function createPipelineStarter(options: StarterOptions & { temporal: TemporalLink }): PipelineStarter {
  return {
    ...createRunStarter(options),
    reach: () => options.temporal.probe(),
    cancel: ({ workflowId, runId }) =>
      options.temporal.use(async (client) => {
        await requestCancel(client, workflowId, runId);
      }),
  };
}

async function requestCancel(client: Client, workflowId: string, runId: string): Promise<void> {
  const ended = new PerennialError('conflict', `The run ${runId} has ended, so it cannot be cancelled.`);
  const handle = client.workflow.getHandle(workflowId, undefined, { firstExecutionRunId: runId });
  try {
    const described = await handle.describe();
    if (described.status.name !== 'RUNNING' || firstRunOf(described) !== runId) throw ended;
    await handle.cancel();
  } catch (error) {
    // It ended between both calls, or Temporal no longer knows it.
    throw error instanceof WorkflowNotFoundError ? ended : error;
  }
}
