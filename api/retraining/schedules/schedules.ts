import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  type Client,
  type ScheduleDescription,
  type ScheduleHandle,
  type ScheduleSpec,
} from '@temporalio/client';
import type { Actor, AuditEntry } from '../../../contracts/audit/audit.js';
import { PerennialError } from '../../../contracts/errors.js';
import type { ScheduleSetting } from '../../../contracts/retraining/schedules.js';
import { specOf } from '../../../domain/retraining/schedules.js';
import type { Logger } from '../../../platform/logging.js';
import type { AuditStore } from '../../../stores/audit/audit.js';
import type { AdvisoryLocks } from '../../../stores/postgres/advisory-lock.js';
import { recordChange } from '../../audit/record-change.js';
import type { TemporalLink } from '../../workflows/temporal-link.js';
import {
  actionOf,
  definitionOf,
  definitionsOf,
  retention,
  type ScheduleDefaults,
  type ScheduleDefinition,
  type SettingMemo,
} from './definitions.js';
import { matchingTimes } from './matching-times.js';
import { memoOf, stateOf, type ScheduleState } from './schedule-state.js';

export interface ScheduleChanges {
  setting: Partial<ScheduleSetting>;
  isPaused?: boolean;
}

export interface BackfillRequest {
  from: Date;
  to: Date;
  dryRun: boolean;
}

/** Schedules, stored in Temporal; every change is audited. Throws `temporal_unavailable`. */
export interface Schedules {
  /** Creates missing schedules, paused, and updates the action of existing ones. */
  ensure(modelName: string): Promise<void>;
  /** All schedules, of every model and of none. */
  list(): Promise<ScheduleState[]>;
  /** Throws `not_found`, like all methods below. */
  get(id: string): Promise<ScheduleState>;
  pause(id: string, reason: string, by: Actor): Promise<ScheduleState>;
  resume(id: string, reason: string, by: Actor): Promise<ScheduleState>;
  /** Triggers it now, also if it is paused; after the running run, if there is one. */
  trigger(id: string, by: Actor): Promise<ScheduleState>;
  /** Changes its setting; omitted fields stay. Throws `bad_request` for an impossible setting. */
  update(id: string, changes: ScheduleChanges, by: Actor): Promise<ScheduleState>;
  /** Its due times in a range; unless it is a dry run, triggers a run for each, one after the other. */
  backfill(id: string, request: BackfillRequest, by: Actor): Promise<string[]>;
}

export interface ScheduleOptions {
  temporal: TemporalLink;
  audit: AuditStore;
  /** Temporal replaces a schedule as a whole: concurrent changes would overwrite each other without this lock. */
  locks: AdvisoryLocks;
  logger: Logger;
  defaults: ScheduleDefaults;
  namespace: string;
}

const createdNote = 'Created paused. Resume it to let it run.';
/** Maximum number of runs of a backfill. */
const backfillLimit = 1_000;

export function createSchedules(options: ScheduleOptions): Schedules {
  const { temporal, defaults } = options;
  const change = createChanges(options);
  return {
    async ensure(modelName) {
      for (const definition of [...definitionsOf(modelName, defaults), retention(defaults)]) {
        const isNew = await locked(options, definition.id, (client) => ensure(client, definition));
        if (isNew) await recordChange(options, creation(definition));
      }
    },
    list: () =>
      temporal.use(async (client) => {
        const states: ScheduleState[] = [];
        for await (const { scheduleId } of client.schedule.list()) {
          const definition = definitionOf(scheduleId, defaults);
          const state = definition && (await described(client, definition).catch(missing));
          if (state) states.push(state);
        }
        return states.sort((a, b) => (a.id < b.id ? -1 : 1));
      }),
    get: (id) => temporal.use((client) => described(client, known(id, defaults))),
    pause: (id, reason, by) => change(id, { action: 'schedule.pause', by }, (handle) => handle.pause(reason)),
    resume: (id, reason, by) => change(id, { action: 'schedule.resume', by }, (handle) => handle.unpause(reason)),
    trigger: (id, by) => change(id, { action: 'schedule.trigger', by }, (handle) => handle.trigger('BUFFER_ONE')),
    update: (id, changes, by) =>
      change(id, { action: 'schedule.update', by }, (handle, definition) =>
        handle.update((previous) => changed(previous, definition, changes, by)),
      ),
    async backfill(id, { from, to, dryRun }, by) {
      const times = await temporal.use(async (client) => {
        await described(client, known(id, defaults));
        return matchingTimes(client, { namespace: options.namespace, scheduleId: id, from, to, limit: backfillLimit });
      });
      if (dryRun || times.length === 0) return times;
      const range = { from: from.toISOString(), to: to.toISOString(), runs: times.length };
      await change(id, { action: 'schedule.backfill', by, after: range }, (handle) =>
        handle.backfill({ start: from, end: to, overlap: 'BUFFER_ALL' }),
      );
      return times;
    },
  };
}

function changed(
  previous: ScheduleDescription,
  definition: ScheduleDefinition,
  { setting: changes, isPaused }: ScheduleChanges,
  by: Actor,
): ScheduleUpdate {
  const setting = { ...(memoOf(previous)?.setting ?? definition.setting), ...changes };
  const { state, policies } = previous;
  const isMoved = isPaused !== undefined && isPaused !== state.paused;
  return {
    spec: specOf(setting, new Date()),
    action: actionOf(definition, { setting, changedBy: by.name }),
    policies,
    state: isMoved ? { ...state, paused: isPaused, note: `${isPaused ? 'Paused' : 'Resumed'} by ${by.name}` } : state,
  };
}

type ScheduleUpdate = ReturnType<Parameters<ScheduleHandle['update']>[0]>;

type Change = (
  id: string,
  entry: { action: string; by: Actor; after?: object },
  work: (handle: ScheduleHandle, definition: ScheduleDefinition) => Promise<void>,
) => Promise<ScheduleState>;

/** Changes a schedule and audits its state before and after. */
function createChanges(options: ScheduleOptions): Change {
  return async (id, { action, by, after }, work) => {
    const definition = known(id, options.defaults);
    const [former, state] = await locked(options, id, async (client) => {
      const before = await described(client, definition);
      await work(client.schedule.getHandle(id), definition);
      return [before, await described(client, definition)];
    });
    const subject = `schedules/${id}`;
    await recordChange(options, {
      by,
      action,
      subject,
      before: summaryOf(former),
      after: { ...summaryOf(state), ...after },
    });
    return state;
  };
}

/** Runs `work` under the lock of the schedule. */
function locked<T>({ temporal, locks }: ScheduleOptions, id: string, work: (client: Client) => Promise<T>): Promise<T> {
  return locks.withLock(`schedule ${id}`, () => temporal.use(work));
}

function summaryOf({ isPaused, note, words, setting }: ScheduleState): object {
  return { paused: isPaused, note, schedule: words, setting };
}

function creation({ id, setting }: ScheduleDefinition): AuditEntry {
  const by: Actor = { name: 'perennial', via: 'system', from: 'api', requestId: null };
  return { by, action: 'schedule.create', subject: `schedules/${id}`, after: { paused: true, setting } };
}

/** Whether the schedule was created. Setting and pause of an existing one stay. */
async function ensure(client: Client, definition: ScheduleDefinition): Promise<boolean> {
  const memo: SettingMemo = { setting: definition.setting, changedBy: null };
  const policies = { overlap: 'SKIP', catchupWindow: definition.catchUpSeconds * 1000 } as const;
  try {
    await client.schedule.create({
      scheduleId: definition.id,
      spec: specOf(memo.setting, new Date()),
      action: actionOf(definition, memo),
      policies,
      state: { paused: true, note: createdNote },
    });
    return true;
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
  const handle = client.schedule.getHandle(definition.id);
  const found = await handle.describe();
  const isDefault = memoOf(found)?.changedBy === null;
  const kept = isDefault ? memo : memoOf(found);
  const action = actionOf(definition, kept ?? memo);
  // The nights of clock changes that a specification lists are those of some years: each start of the API extends it.
  const spec = kept ? specOf(kept.setting, new Date()) : found.spec;
  const isCurrent = same(found.action, action) && sameIntervals(found.spec, spec);
  if (isCurrent && found.policies.catchupWindow === policies.catchupWindow) return false;
  await handle.update(({ state }) => ({
    spec,
    action,
    policies,
    state,
  }));
  return false;
}

function sameIntervals({ intervals: one = [] }: ScheduleSpec, { intervals: other = [] }: ScheduleSpec): boolean {
  const essence = (intervals: NonNullable<ScheduleSpec['intervals']>): string =>
    intervals.map(({ every, offset }) => `${String(every)} ${String(offset ?? 0)}`).join();
  return essence(one) === essence(other);
}

type Comparable = { workflowType: unknown; args?: unknown; taskQueue?: unknown; memo?: unknown };

function same(one: Comparable, other: Comparable): boolean {
  const essence = ({ workflowType, args, taskQueue, memo }: Comparable): string =>
    JSON.stringify([workflowType, args, taskQueue, memo]);
  return essence(one) === essence(other);
}

async function described(client: Client, definition: ScheduleDefinition): Promise<ScheduleState> {
  try {
    return stateOf(definition, await client.schedule.getHandle(definition.id).describe());
  } catch (error) {
    throw error instanceof ScheduleNotFoundError ? unknown(definition.id) : error;
  }
}

function missing(error: unknown): null {
  if (error instanceof PerennialError && error.code === 'not_found') return null;
  throw error;
}

function known(id: string, defaults: ScheduleDefaults): ScheduleDefinition {
  const definition = definitionOf(id, defaults);
  if (definition) return definition;
  throw unknown(id);
}

function unknown(id: string): PerennialError {
  return new PerennialError('not_found', `There is no schedule ${id}; GET /api/v1/schedules lists them.`);
}
