import type { ScheduleOptions } from '@temporalio/client';
import { z } from 'zod';
import { nameSchema } from '../../../contracts/datasets/datasets.js';
import { taskQueues, workflowTypes } from '../../../contracts/names.js';
import type { RetrainingRequest } from '../../../contracts/retraining/retraining.js';
import {
  scheduleJobs,
  scheduleSettingSchema,
  type HourWindow,
  type RetentionInput,
  type ScheduleJob,
  type ScheduleSetting,
} from '../../../contracts/retraining/schedules.js';

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

/** A schedule. Its id is the workflow id too, to which Temporal appends the time of each run. */
export interface ScheduleDefinition {
  id: string;
  job: ScheduleJob;
  modelName: string | null;
  /** Default setting. */
  setting: ScheduleSetting;
  /** Catch-up window: how late a run may start after Temporal was unavailable. */
  catchUpSeconds: number;
}

/** Schedule defaults from the configuration. */
export interface ScheduleDefaults {
  timeZone: string;
  retrainingHours: HourWindow;
}

/** The schedules of a model. */
export function definitionsOf(modelName: string, defaults: ScheduleDefaults): ScheduleDefinition[] {
  return [weekly(modelName, defaults), continuous(modelName, defaults)];
}

export function retention({ timeZone }: ScheduleDefaults): ScheduleDefinition {
  const setting = { everySeconds: day, hourWindow: null, timeZone, jitterSeconds: 5 * minute };
  return { id: 'retention', job: 'retention', modelName: null, setting, catchUpSeconds: hour };
}

/** The definition for a schedule id, whether the schedule exists or not; null for a foreign id. */
export function definitionOf(id: string, defaults: ScheduleDefaults): ScheduleDefinition | null {
  const job = scheduleJobs.find((name) => id === name || id.startsWith(`${name}-`));
  if (job === undefined) return null;
  if (job === 'retention') return id === job ? retention(defaults) : null;
  const model = nameSchema.safeParse(id.slice(job.length + 1));
  return model.success ? (definitionsOf(model.data, defaults).find((known) => known.id === id) ?? null) : null;
}

function weekly(modelName: string, { timeZone, retrainingHours }: ScheduleDefaults): ScheduleDefinition {
  const setting = { everySeconds: 7 * day, hourWindow: retrainingHours, timeZone, jitterSeconds: null };
  const job = 'mlops_retraining_pipeline';
  return { id: `${job}-${modelName}`, job, modelName, setting, catchUpSeconds: day };
}

function continuous(modelName: string, { timeZone }: ScheduleDefaults): ScheduleDefinition {
  const setting = { everySeconds: 6 * hour, hourWindow: null, timeZone, jitterSeconds: 5 * minute };
  const job = 'continuous_training';
  return { id: `${job}-${modelName}`, job, modelName, setting, catchUpSeconds: hour };
}

/** The setting as stored in the memo of the Temporal schedule. */
export const settingMemoSchema = z.object({
  setting: scheduleSettingSchema,
  /** Null for the default of the configuration. */
  changedBy: z.string().nullable(),
});
export type SettingMemo = z.output<typeof settingMemoSchema>;

/** The action of a schedule. It contains the setting, so that both are written in one step. */
export function actionOf({ id, job, modelName }: ScheduleDefinition, memo: SettingMemo): ScheduleOptions['action'] {
  const common = {
    type: 'startWorkflow',
    workflowId: id,
    taskQueue: taskQueues.pipeline,
    memo: { schedule: memo },
  } as const;
  if (job === 'retention' || modelName === null) {
    const input: RetentionInput = { dryRun: false, trigger: 'schedule' };
    return { ...common, workflowType: workflowTypes.applyRetention, args: [input] };
  }
  const input: RetrainingRequest = { modelName, dataset: null, kind: job, trigger: 'schedule', requestId: null };
  return { ...common, workflowType: workflowTypes.requestRetraining, args: [input] };
}
