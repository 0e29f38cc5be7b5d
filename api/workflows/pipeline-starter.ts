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

/** Starts workflows and ends them. */
export interface PipelineStarter extends RunStarter {
  /** Throws `temporal_unavailable` when nothing can be started now. */
  reach(): Promise<void>;
  /** Asks a run to cancel. Throws `conflict` when it has ended. */
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
  const ended = new PerennialError('conflict', `The run ${runId} has ended, so there is nothing to cancel.`);
  const handle = client.workflow.getHandle(workflowId, undefined, { firstExecutionRunId: runId });
  try {
    const described = await handle.describe();
    if (described.status.name !== 'RUNNING' || firstRunOf(described) !== runId) throw ended;
    await handle.cancel();
  } catch (error) {
    // Either it ended between both calls, or Temporal has forgotten it already.
    throw error instanceof WorkflowNotFoundError ? ended : error;
  }
}
