import type { ScheduleDescription } from '@temporalio/client';
import type { ScheduleJob, ScheduleSetting } from '../../../contracts/retraining/schedules.js';
import { describeSetting } from '../../../domain/retraining/schedules.js';
import { settingMemoSchema, type ScheduleDefinition, type SettingMemo } from './definitions.js';

export interface ScheduledRun {
  workflowId: string;
  runId: string;
  scheduledAt: string;
  takenAt: string;
}

/** State of a schedule in Temporal. */
export interface ScheduleState {
  id: string;
  job: ScheduleJob;
  modelName: string | null;
  isPaused: boolean;
  note: string | null;
  /** Null if it was changed outside this API. */
  setting: ScheduleSetting | null;
  words: string;
  catchUpSeconds: number;
  nextRuns: string[];
  /** Newest first. */
  lastRuns: ScheduledRun[];
  running: number;
  taken: number;
  /** Due runs that were skipped because the previous one was still running. */
  skippedOverlap: number;
  /** Due runs that missed the catch-up window while Temporal was unavailable. */
  missedCatchUp: number;
}

export function stateOf({ id, job, modelName }: ScheduleDefinition, described: ScheduleDescription): ScheduleState {
  const { state, info, policies } = described;
  const memo = memoOf(described);
  return {
    id,
    job,
    modelName,
    isPaused: state.paused,
    note: state.note === undefined || state.note === '' ? null : state.note,
    setting: memo?.setting ?? null,
    words: memo ? describeSetting(memo.setting) : 'changed directly in Temporal: see the next runs',
    catchUpSeconds: policies.catchupWindow / 1000,
    nextRuns: info.nextActionTimes.map((date) => date.toISOString()),
    lastRuns: info.recentActions
      .map(({ scheduledAt, takenAt, action: { workflow } }) => ({
        workflowId: workflow.workflowId,
        runId: workflow.firstExecutionRunId,
        scheduledAt: scheduledAt.toISOString(),
        takenAt: takenAt.toISOString(),
      }))
      .reverse(),
    running: info.runningActions.length,
    taken: info.numActionsTaken,
    skippedOverlap: info.numActionsSkippedOverlap,
    missedCatchUp: info.numActionsMissedCatchupWindow,
  };
}

/** The setting made through this API; null if the schedule was changed outside it. */
export function memoOf({ action, spec }: ScheduleDescription): SettingMemo | null {
  const parsed = settingMemoSchema.safeParse(action.memo?.['schedule']);
  if (!parsed.success) return null;
  const { everySeconds, timeZone } = parsed.data.setting;
  const isOurs = spec.calendars?.length ? true : spec.intervals?.[0]?.every === everySeconds * 1000;
  return isOurs && (spec.timezone ?? 'UTC') === timeZone ? parsed.data : null;
}
