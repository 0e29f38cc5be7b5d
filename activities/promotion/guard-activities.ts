import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { LiveStats } from '../../contracts/promotion/live-stats.js';
import type { GuardInput } from '../../contracts/promotion/promotion-pipeline.js';
import { judgeGuard } from '../../domain/promotion/promotion-guard.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';
import type { RegistryStore, Replica } from '../../stores/registry/registry.js';
import { withHeartbeat, type Report } from '../runtime/heartbeat.js';

export interface GuardDependencies {
  registry: Pick<RegistryStore, 'get' | 'servingState' | 'liveReplicas' | 'productionMoves'>;
  policies: PolicyStore;
}

export interface GuardVerdict {
  /** `kept`: a breach of a version without a former one, which keeps serving. */
  outcome: 'passed' | 'breach' | 'kept' | 'superseded';
  detail: string;
}

export interface GuardActivities {
  /** Judges the live metrics of the replicas every second until one is bad or the time of the guard is over. */
  watchPromotion(input: GuardInput): Promise<GuardVerdict>;
}

const pollMs = 1_000;
/** A replica without a heartbeat for this long counts as gone. */
const replicaLivesMs = 5_000;

export function createGuardActivities(deps: GuardDependencies): GuardActivities {
  return {
    watchPromotion: (input) => withHeartbeat((report, signal) => monitorVersion(deps, input, report, signal)),
  };
}

async function monitorVersion(
  { registry, policies }: GuardDependencies,
  { modelName, version, generation }: GuardInput,
  report: Report,
  signal: AbortSignal,
): Promise<GuardVerdict> {
  // The time when the activity was scheduled, so that a restart of the worker does not restart the guard.
  const beganAt = Context.current().info.scheduledTimestampMs;
  const { decision } = await registry.get(modelName, version);
  for (;;) {
    signal.throwIfAborted();
    const { guard: policy } = await policies.get(modelName);
    const state = await registry.servingState(modelName);
    if (state.generation !== generation) {
      return { outcome: 'superseded', detail: `Serving generation ${state.generation} has replaced ${generation}.` };
    }
    const live = await registry.liveReplicas(modelName, replicaLivesMs);
    const { observed, breach } = judgeGuard({
      policy,
      current: statsOf(live, 'current').filter((stats) => stats.generation === generation),
      previous: statsOf(live, 'former'),
      testConfidence: decision?.meanConfidence ?? null,
    });
    if (breach !== null) return verdictOn(breach, version, await hasFormer(registry, modelName));
    report({ observed });
    if (Date.now() - beganAt > policy.minutes * 60_000) {
      return { outcome: 'passed', detail: `${observed} predictions in ${policy.minutes} minutes, nothing wrong.` };
    }
    await sleep(pollMs);
  }
}

/** Without a former version a rollback would end serving, which anybody could cause with a hundred odd images. */
function verdictOn(breach: string, version: number, hasFormer: boolean): GuardVerdict {
  return hasFormer
    ? { outcome: 'breach', detail: `Version ${version} was rolled back: ${breach}` }
    : {
        outcome: 'kept',
        detail: `Version ${version} keeps serving, because no version was served before it: ${breach}`,
      };
}

async function hasFormer(registry: GuardDependencies['registry'], modelName: string): Promise<boolean> {
  const [move] = (await registry.productionMoves(modelName, { limit: 1 })).items;
  return move !== undefined && move.insteadOf !== null;
}

function statsOf(live: readonly Replica[], which: 'current' | 'former'): LiveStats[] {
  return live.flatMap(({ figures }) => figures?.[which] ?? []);
}
