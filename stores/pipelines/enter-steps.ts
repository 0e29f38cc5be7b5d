import type { StepEntry } from '../../contracts/workflows/runs.js';
import type { Queryable } from '../postgres/database.js';

/**
 * Records states of steps in one statement, the later one of a step after the earlier. It locks their rows in order:
 * activities that run side by side may write the same steps.
 */
export async function enterSteps(db: Queryable, runId: string, entries: readonly StepEntry<string>[]): Promise<void> {
  const last = new Map<string, StepEntry<string>>();
  for (const entry of entries) last.set(entry.name, { ...last.get(entry.name), ...entry });
  if (last.size === 0) return;
  await db.query(
    `WITH entry AS (SELECT * FROM jsonb_to_recordset($2::jsonb) AS entry (name text, status text, detail text, "hasDetail" boolean)),
     held AS MATERIALIZED (
       SELECT name FROM pipeline_steps WHERE run_id = $1 AND name IN (SELECT name FROM entry) ORDER BY position FOR UPDATE)
     UPDATE pipeline_steps AS step SET
       status = entry.status,
       detail = CASE WHEN entry."hasDetail" THEN entry.detail ELSE step.detail END,
       started_at = coalesce(started_at, now()),
       ended_at = CASE WHEN entry.status = 'running' THEN NULL ELSE coalesce(ended_at, now()) END
     FROM entry JOIN held USING (name)
     WHERE step.run_id = $1 AND step.name = entry.name
       AND (step.status IN ('pending', 'running') OR step.status = entry.status)
       AND EXISTS (SELECT FROM pipelines WHERE run_id = $1 AND status = 'running')`,
    [runId, JSON.stringify([...last.values()].map((entry) => ({ ...entry, hasDetail: entry.detail !== undefined })))],
  );
}
