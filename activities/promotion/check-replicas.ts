import { setTimeout as sleep } from 'node:timers/promises';
import type { RegistryStore, Replica } from '../../stores/registry/registry.js';
import type { Report } from '../runtime/heartbeat.js';
import { smokeTest } from './smoke-test.js';

export interface ReplicaDependencies {
  registry: Pick<RegistryStore, 'liveReplicas' | 'servingState'>;
  /** An image to ask for. */
  image: Uint8Array;
}

export interface ReplicaQuestion {
  modelName: string;
  version: number;
  generation: number;
}

export interface ReplicaCheck {
  passed: boolean;
  replicas: string[];
  detail: string;
}

export interface Patience {
  /** How long replicas may take to load the version and answer with it. */
  deadlineMs: number;
  /** How long no replica must have been seen before it is concluded that none is live. */
  noneLiveMs: number;
  pollMs: number;
}

/** A replica that has not reported for this long is taken for gone: it loads the version when it comes back. */
const replicaLivesMs = 5_000;
const defaultPatience: Patience = { deadlineMs: 60_000, noneLiveMs: 3_000, pollMs: 50 };

/**
 * Waits until every live replica serves the generation and has answered one prediction with the version. Trouble that
 * may pass is waited out; a damaged bundle, a wrong answer or the deadline ends the check. So does a later change of
 * Production, after which nothing is left to check or to take back.
 */
export async function checkReplicas(
  deps: ReplicaDependencies,
  question: ReplicaQuestion,
  report: Report,
  signal: AbortSignal,
  patience: Patience = defaultPatience,
): Promise<ReplicaCheck> {
  const startedAt = performance.now();
  let lastSeenAt = startedAt;
  for (;;) {
    signal.throwIfAborted();
    const live = await deps.registry.liveReplicas(question.modelName, replicaLivesMs);
    const replicas = live.map(({ url }) => url);
    const now = performance.now();
    if (live.length > 0) lastSeenAt = now;
    else if (now - lastSeenAt >= patience.noneLiveMs) {
      return { passed: true, replicas, detail: 'No replica is live; each loads the version when it starts.' };
    }
    const look = await lookAt(live, question, deps.image);
    if (!look.open && look.passed) return { passed: true, replicas, detail: look.detail };
    const successor = await successorOf(deps, question);
    if (successor !== null) return { passed: true, replicas, detail: successor };
    if (!look.open) return { passed: false, replicas, detail: look.detail };
    report({ replicas: live.length, waitingFor: look.detail });
    if (now - startedAt > patience.deadlineMs) {
      return { passed: false, replicas, detail: `The replicas did not get there in time: ${look.detail}.` };
    }
    await sleep(patience.pollMs);
  }
}

/** That Production has changed since, if it has. */
async function successorOf({ registry }: ReplicaDependencies, question: ReplicaQuestion): Promise<string | null> {
  const { generation, version } = await registry.servingState(question.modelName);
  if (generation <= question.generation) return null;
  const successor = version === null ? 'nothing' : `version ${version.version}`;
  return `Version ${question.version} was put into Production; before every replica was checked, ${successor} took its place.`;
}

type Look = { open: true; detail: string } | { open: false; passed: boolean; detail: string };

async function lookAt(live: Replica[], { version, generation }: ReplicaQuestion, image: Uint8Array): Promise<Look> {
  if (live.length === 0) return { open: true, detail: 'no replica reports' };
  for (const { url, generation: reached, error, errorCode } of live) {
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
