import type { ScheduleView } from '../../../contracts/retraining/http-schedules.js';
import type { RunStatus } from '../../../contracts/workflows/runs.js';
import type { ListedDecision } from '../../../stores/retraining/retraining-decisions.js';
import type { ScheduleState } from './schedule-state.js';
import { decisionView } from '../retraining-view.js';

/** What our record says of the runs that schedules started. */
export interface KnownRuns {
  decisions: readonly ListedDecision[];
  statuses: ReadonlyMap<string, RunStatus>;
}

/** A schedule in the spelling of HTTP. */
export function scheduleView(state: ScheduleState, { decisions, statuses }: KnownRuns): ScheduleView {
  const { setting } = state;
  return {
    id: state.id,
    job: state.job,
    model_name: state.modelName,
    paused: state.isPaused,
    note: state.note,
    schedule: state.words,
    setting: setting && {
      interval_seconds: setting.everySeconds,
      hour_window: setting.hourWindow,
      time_zone: setting.timeZone,
      jitter_seconds: setting.jitterSeconds,
    },
    overlap: 'skip',
    catch_up_seconds: state.catchUpSeconds,
    next_runs: state.nextRuns,
    running: state.running,
    taken: state.taken,
    skipped_overlap: state.skippedOverlap,
    missed_catch_up: state.missedCatchUp,
    last_runs: state.lastRuns.map(({ workflowId, runId, scheduledAt, takenAt }) => {
      const decision = decisions.find(({ requestId }) => requestId === runId);
      return {
        workflow_id: workflowId,
        run_id: runId,
        scheduled_at: scheduledAt,
        taken_at: takenAt,
        status: statuses.get(runId) ?? null,
        decision: decision ? decisionView(decision) : null,
      };
    }),
  };
}
