import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { LiveStats } from '../../contracts/promotion/live-stats.js';
import type { GuardInput } from '../../contracts/promotion/promotion-pipeline.js';
import { judgeGuard } from '../../domain/promotion/promotion-guard.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';
import type { RegistryStore, Replica } from '../../stores/registry/registry.js';
import { withHeartbeat, type Report } from '../runtime/heartbeat.js';

export interface GuardDependencies {
  registry: Pick<RegistryStore, 'get' | 'servingState' | 'liveReplicas'>;
  policies: PolicyStore;
}

export interface GuardVerdict {
  outcome: 'passed' | 'breach' | 'superseded';
  detail: string;
}

export interface GuardActivities {
  /** Looks at the replicas every second until something is wrong or the first minutes are over. */
  watchPromotion(input: GuardInput): Promise<GuardVerdict>;
}

const lookEveryMs = 1_000;
/** A replica that has not reported for this long is taken for gone. */
const replicaLivesMs = 5_000;

export function createGuardActivities(deps: GuardDependencies): GuardActivities {
  return {
    watchPromotion: (input) => withHeartbeat((report, signal) => watch(deps, input, report, signal)),
  };
}

async function watch(
  { registry, policies }: GuardDependencies,
  { modelName, version, generation }: GuardInput,
  report: Report,
  signal: AbortSignal,
): Promise<GuardVerdict> {
  // When it was asked for, not when this attempt began: a restart of the worker does not begin the watch anew.
  const beganAt = Context.current().info.scheduledTimestampMs;
  const { decision } = await registry.get(modelName, version);
  for (;;) {
    signal.throwIfAborted();
    const { guard: policy } = await policies.get(modelName);
    const state = await registry.servingState(modelName);
    if (state.generation !== generation) {
      return { outcome: 'superseded', detail: `Generation ${state.generation} has taken the place of ${generation}.` };
    }
    const live = await registry.liveReplicas(modelName, replicaLivesMs);
    const { seen, breach } = judgeGuard({
      policy,
      current: figuresOf(live, 'current').filter((figures) => figures.generation === generation),
      former: figuresOf(live, 'former'),
      testConfidence: decision?.meanConfidence ?? null,
    });
    if (breach !== null) return { outcome: 'breach', detail: `Version ${version} was rolled back: ${breach}` };
    report({ seen });
    if (Date.now() - beganAt > policy.minutes * 60_000) {
      return { outcome: 'passed', detail: `${seen} predictions in ${policy.minutes} minutes, nothing wrong.` };
    }
    await sleep(lookEveryMs);
  }
}

function figuresOf(live: readonly Replica[], which: 'current' | 'former'): LiveStats[] {
  return live.flatMap(({ figures }) => figures?.[which] ?? []);
}
