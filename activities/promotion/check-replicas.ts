import { setTimeout as sleep } from 'node:timers/promises';
import { addressWithoutSecrets } from '../../platform/secrets.js';
import type { RegistryStore, Replica } from '../../stores/registry/registry.js';
import type { Report } from '../runtime/heartbeat.js';
import { smokeTest } from './smoke-test.js';

export interface ReplicaDependencies {
  registry: Pick<RegistryStore, 'liveReplicas' | 'servingState'>;
  /** The image of the smoke test. */
  image: Uint8Array;
}

export interface ReplicaCheckInput {
  modelName: string;
  version: number;
  generation: number;
}

export interface ReplicaCheck {
  passed: boolean;
  replicas: string[];
  detail: string;
}

export interface ReplicaTimeouts {
  /** How long replicas may take to load the version and answer with it. */
  deadlineMs: number;
  /** How long no replica must have reported before the check concludes that none is live. */
  noneLiveMs: number;
  pollMs: number;
}

/** A replica without a heartbeat for this long counts as gone; it loads the version when it is available again. */
const replicaLivesMs = 5_000;
const defaultTimeouts: ReplicaTimeouts = { deadlineMs: 60_000, noneLiveMs: 3_000, pollMs: 50 };

/**
 * Waits until every live replica serves the generation and has answered one prediction with the version. Transient errors
 * are retried; a damaged bundle, a wrong answer or the deadline fails the check. A later change of Production ends it,
 * because then there is nothing left to check or to roll back.
 */
export async function checkReplicas(
  deps: ReplicaDependencies,
  input: ReplicaCheckInput,
  report: Report,
  signal: AbortSignal,
  timeouts: ReplicaTimeouts = defaultTimeouts,
): Promise<ReplicaCheck> {
  const startedAt = performance.now();
  let lastSeenAt = startedAt;
  for (;;) {
    signal.throwIfAborted();
    const live = await deps.registry.liveReplicas(input.modelName, replicaLivesMs);
    const replicas = live.map(({ url }) => addressWithoutSecrets(url));
    const now = performance.now();
    if (live.length > 0) lastSeenAt = now;
    else if (now - lastSeenAt >= timeouts.noneLiveMs) {
      return { passed: true, replicas, detail: 'No replica is live; each loads the version when it starts.' };
    }
    const result = await inspectReplicas(live, input, deps.image);
    if (!result.open && result.passed) return { passed: true, replicas, detail: result.detail };
    const successor = await describeSuccessor(deps, input);
    if (successor !== null) return { passed: true, replicas, detail: successor };
    if (!result.open) return { passed: false, replicas, detail: result.detail };
    report({ replicas: live.length, waitingFor: result.detail });
    if (now - startedAt > timeouts.deadlineMs) {
      return { passed: false, replicas, detail: `The replicas did not serve the version in time: ${result.detail}.` };
    }
    await sleep(timeouts.pollMs);
  }
}

/** Describes a later change of Production; null when there is none. */
async function describeSuccessor({ registry }: ReplicaDependencies, input: ReplicaCheckInput): Promise<string | null> {
  const { generation, version } = await registry.servingState(input.modelName);
  if (generation <= input.generation) return null;
  const successor = version === null ? 'no version' : `version ${version.version}`;
  return `Version ${input.version} was promoted, but ${successor} replaced it before every replica was checked.`;
}

type Inspection = { open: true; detail: string } | { open: false; passed: boolean; detail: string };

async function inspectReplicas(
  live: Replica[],
  { version, generation }: ReplicaCheckInput,
  image: Uint8Array,
): Promise<Inspection> {
  if (live.length === 0) return { open: true, detail: 'no replica reports' };
  for (const { url: address, generation: reached, error, errorCode } of live) {
    const url = addressWithoutSecrets(address);
    if (reached >= generation && errorCode === 'bundle_invalid') {
      return { open: false, passed: false, detail: `${url} could not load the version: ${error ?? errorCode}` };
    }
    if (reached < generation || error !== null) return { open: true, detail: `${url}: ${error ?? 'still loading'}` };
  }
  for (const { url } of live) {
    const test = await smokeTest(url, image, version);
    if (test.outcome === 'failed') return { open: false, passed: false, detail: test.detail };
    if (test.outcome === 'unanswered') return { open: true, detail: test.detail };
  }
  return { open: false, passed: true, detail: `${live.length} replica(s) answer with version ${version}.` };
}
