import { toSnake } from '../../../contracts/http/snake-shape.js';
import { scheduleViewSchema, type ScheduleView } from '../../../contracts/retraining/http-schedules.js';
import type { RunStatus } from '../../../contracts/workflows/runs.js';
import type { ListedDecision } from '../../../stores/retraining/retraining-decisions.js';
import type { ScheduleState } from './schedule-state.js';
import { decisionFields } from '../retraining-view.js';

/** Stored decisions and statuses of the runs that schedules started. */
export interface KnownRuns {
  decisions: readonly ListedDecision[];
  statuses: ReadonlyMap<string, RunStatus>;
}

/** A schedule as JSON. */
export function scheduleView(state: ScheduleState, { decisions, statuses }: KnownRuns): ScheduleView {
  return toSnake(scheduleViewSchema, {
    ...state,
    paused: state.isPaused,
    schedule: state.words,
    setting: state.setting && { ...state.setting, intervalSeconds: state.setting.everySeconds },
    overlap: 'skip',
    lastRuns: state.lastRuns.map((run) => {
      const decision = decisions.find(({ requestId }) => requestId === run.runId);
      return {
        ...run,
        status: statuses.get(run.runId) ?? null,
        decision: decision ? decisionFields(decision) : null,
      };
    }),
  });
}
