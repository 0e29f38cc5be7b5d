import type { z } from 'zod';
import { messageOf } from '../../contracts/errors.js';
import type { readinessSchema, healthSchema } from '../../contracts/http/health.js';
import { remember } from '../../platform/remember.js';
import { withoutSecrets } from '../../platform/secrets.js';
import { withTimeLimit } from '../../platform/time-limit.js';
import type { ModelHost } from '../model-host/model-host.js';

type Health = z.input<typeof healthSchema>;
type Readiness = z.input<typeof readinessSchema>;
type DependencyState = Health['dependencies'][string];

/** A cheap request to a dependency; throws if it does not answer. A text that it returns is shown as `detail`. */
export type Probe = () => Promise<unknown>;

export interface HealthReporter {
  report(): Promise<Health>;
  readiness(): Readiness;
  /** Called once the configuration is valid and Postgres is reachable. */
  setReady(): void;
  /** Called at the start of shutdown: readiness becomes false. */
  setStopping(): void;
}

export interface HealthOptions {
  /** Of Perennial. */
  version: string;
  modelName: string;
  host: Pick<ModelHost, 'current'>;
  probes: Readonly<Record<string, Probe>>;
}

const probeTimeoutMs = 2_000;
/** A dependency is probed at most this often. */
const probeEveryMs = 2_000;

export function createHealthReporter({ version, modelName, host, probes }: HealthOptions): HealthReporter {
  const startedAt = performance.now();
  let phase: 'starting' | 'ready' | 'stopping' = 'starting';
  const checks = Object.entries(probes).map(([name, probe]) => ({
    name,
    check: remember(probeEveryMs, () => stateOf(probe)),
  }));
  return {
    async report() {
      const states = await Promise.all(checks.map(async ({ name, check }) => [name, await check()] as const));
      const served = host.current()?.version.version;
      return {
        status: states.every(([, { status }]) => status === 'up') ? 'healthy' : 'degraded',
        version,
        timestamp: new Date().toISOString(),
        model_loaded: served !== undefined,
        model_name: modelName,
        model_version: served === undefined ? null : String(served),
        uptime_seconds: (performance.now() - startedAt) / 1000,
        dependencies: Object.fromEntries(states),
      };
    },
    readiness() {
      if (phase === 'ready') return { status: 'ready' };
      const detail = phase === 'starting' ? 'Postgres is not reachable yet.' : 'This process is shutting down.';
      return { status: 'not_ready', detail };
    },
    setReady() {
      if (phase === 'starting') phase = 'ready';
    },
    setStopping() {
      phase = 'stopping';
    },
  };
}

async function stateOf(probe: Probe): Promise<DependencyState> {
  try {
    const detail = await withTimeLimit(probeTimeoutMs, probe());
    return typeof detail === 'string' ? { status: 'up', detail } : { status: 'up' };
  } catch (error) {
    return { status: 'down', detail: withoutSecrets(messageOf(error)) };
  }
}
