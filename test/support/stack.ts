import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../infra/local/ports.js';
import { packageRoot } from '../../platform/paths.js';
import { startObjectStore, startPostgres, startTemporal, type TestService } from './services.js';

const entries = {
  pipeline: 'workers/pipeline.js',
  training: 'workers/training.js',
  api: 'api/server.js',
  /** Runs only where a test starts it. */
  secondTraining: 'workers/training.js',
} as const;
export type ProcessName = keyof typeof entries;

/** Perennial's three processes on test services, without the supervisor: killed processes are not restarted. */
export interface TestStack {
  apiUrl: string;
  environment: Record<string, string>;
  pidOf(name: ProcessName): number;
  /** SIGKILL; resolves when the process is gone. */
  kill(name: ProcessName): Promise<void>;
  start(name: ProcessName): Promise<void>;
  services: Services;
  stop(): Promise<void>;
}

export interface Services {
  postgres: TestService;
  objects: TestService;
  temporal: TestService;
}

export async function startStack(settings: Record<string, string> = {}): Promise<TestStack> {
  const home = await mkdtemp(join(tmpdir(), 'perennial-test-'));
  const [postgres, objects, temporal] = await Promise.all([
    startPostgres(),
    startObjectStore(),
    startTemporal({ onDisk: true }),
  ]);
  const [port = 0] = await freePorts(1);
  const environment: Record<string, string> = {
    ...postgres.environment,
    ...objects.environment,
    ...temporal.environment,
    PERENNIAL_HOME: home,
    ALLOWED_SOURCE_ROOT: [tmpdir(), process.env['DATASET_DIR'] ?? ''].join(','),
    PORT: String(port),
    REPLICA_URL: `http://127.0.0.1:${port}`,
    // No server listens there: the public photographs are unreachable, as on a machine without internet access.
    PUBLIC_DATASET_URL: 'http://127.0.0.1:9',
    // Faults that a test causes would fill its output; TEST_LOG_LEVEL=info shows them.
    LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'fatal',
    SHUTDOWN_GRACE_MS: '4000',
    ...settings,
  };
  const running = new Map<ProcessName, ChildProcess>();
  const start = async (name: ProcessName): Promise<void> =>
    void running.set(name, await startProcess(name, environment));
  await Promise.all([start('pipeline'), start('training'), start('api')]);
  return {
    apiUrl: environment['REPLICA_URL'] ?? '',
    environment,
    services: { postgres, objects, temporal },
    start,
    pidOf: (name) => running.get(name)?.pid ?? 0,
    kill: (name) => end(running.get(name), 'SIGKILL'),
    async stop() {
      await Promise.all([...running.values()].map((child) => end(child, 'SIGTERM')));
      await Promise.all([temporal.stop(), objects.stop(), postgres.stop()]);
      await rm(home, { recursive: true, force: true });
    },
  };
}

async function startProcess(name: ProcessName, environment: Record<string, string>): Promise<ChildProcess> {
  const child = fork(join(packageRoot, 'dist', entries[name]), { env: { ...baseEnvironment(), ...environment } });
  const exited = once(child, 'exit').then(([code]) => {
    throw new Error(`the ${name} process ended with ${String(code)} before it was ready`);
  });
  await Promise.race([once(child, 'message'), exited]);
  exited.catch(() => undefined);
  return child;
}

/** The environment of the test without settings for external services or photographs. */
function baseEnvironment(): Record<string, string> {
  const own = /^(DATABASE_|S3_|TEMPORAL_|DATASET_|PERENNIAL_|PORT$|MODEL_|NOTIFY_|SMTP_)/;
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || own.test(name) ? [] : [[name, value]],
    ),
  );
}

async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  // A process that a test has stopped with SIGSTOP receives no other signal.
  child.kill('SIGCONT');
  await exited;
}
