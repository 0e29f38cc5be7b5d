import { setTimeout as sleep } from 'node:timers/promises';
import { addressWithoutSecrets } from '../../platform/secrets.js';
import type { RegistryStore } from '../../stores/registry/registry.js';

/** How long a change of Production waits for the replicas, and the polling interval. */
const settling = { totalMs: 5_000, pollMs: 20 };
const replicaLivesMs = 5_000;

/** Waits until every live replica has followed to the generation, or until five seconds after `startedAt`. */
export async function settleReplicas(
  registry: Pick<RegistryStore, 'liveReplicas'>,
  modelName: string,
  generation: number,
  startedAt: number,
): Promise<{ url: string; serves: boolean }[]> {
  for (;;) {
    const live = await registry.liveReplicas(modelName, replicaLivesMs);
    const replicas = live.map(({ url, generation: reached, error }) => ({
      url: addressWithoutSecrets(url),
      serves: reached >= generation && error === null,
    }));
    if (replicas.every(({ serves }) => serves) || performance.now() > startedAt + settling.totalMs) return replicas;
    await sleep(settling.pollMs);
  }
}
