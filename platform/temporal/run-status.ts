import { WorkflowNotFoundError, type Client, type WorkflowExecutionStatusName } from '@temporalio/client';
import { firstRunOf } from './run-starter.js';

/** The status of a run, or of the run that continues it; null when Temporal does not know it any more. */
export async function statusOfRun(
  client: Client,
  workflowId: string,
  runId: string,
): Promise<WorkflowExecutionStatusName | null> {
  try {
    const described = await client.workflow.getHandle(workflowId).describe();
    return firstRunOf(described) === runId ? described.status.name : null;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

export function isOpen(status: WorkflowExecutionStatusName | null): boolean {
  return status === 'RUNNING' || status === 'PAUSED';
}
