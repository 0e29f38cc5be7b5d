import type { Request } from 'express';
import type { z } from 'zod';
import type { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { recordChange, type ChangeRecorder } from '../audit/record-change.js';
import { actorOf } from '../access/actor.js';
import type { Reply } from '../http/route.js';
import type { TemporalUrl } from './temporal-url.js';
import type { StartedRun } from './pipeline-starter.js';

/** 202 for a run that was started or joined. */
export function accepted(run: StartedRun, temporalUrl: TemporalUrl): Reply<z.input<typeof acceptedSchema>> {
  const statusUrl = `/api/v1/pipelines/${run.runId}`;
  return {
    headers: { Location: statusUrl },
    body: {
      workflow_id: run.workflowId,
      run_id: run.runId,
      joined: run.joined,
      status_url: statusUrl,
      temporal_url: temporalUrl(run.workflowId, run.runId),
    },
  };
}

/** Records the start of a run; joining a running one changes nothing. */
export async function recordStart(
  dependencies: ChangeRecorder,
  request: Request,
  { runId, workflowId, joined }: StartedRun,
  input: object,
): Promise<void> {
  if (joined) return;
  await recordChange(dependencies, {
    by: actorOf(request),
    action: 'pipeline.start',
    subject: `pipelines/${runId}`,
    after: { workflowId, ...input },
  });
}
