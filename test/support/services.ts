import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../infra/local/ports.js';
import { localObjectStore } from '../../infra/local/object-store.js';
import { localPostgres } from '../../infra/local/postgres.js';
import { signalProcess, startChild, type RunningChild } from '../../infra/local/running-child.js';
import type { ChildSpec } from '../../infra/local/child-spec.js';
import { guardWebUi } from '../../infra/local/web-ui-guard.js';
import { localTemporal } from '../../infra/local/temporal.js';

/** A real service on a temporary folder and a free port. `environment` is what `loadConfig` needs to find it. */
export interface TestService {
  environment: Record<string, string>;
  pid(): number;
  /** Stops the process; its folder stays. */
  pause(): Promise<void>;
  /** Starts it again with the same data at the same address. */
  resume(): Promise<void>;
  /** Stops the process and removes its folder. */
  stop(): Promise<void>;
}

/** A Postgres with an empty database (DATABASE_URL). Starts in about a second. */
export async function startPostgres(): Promise<TestService & { url: string }> {
  const folder = temporaryFolder('postgres');
  const [port = 0] = await freePorts(1);
  const { spec, url } = localPostgres({ folder, port, isTemporary: true });
  return { ...(await startService(spec, folder, { DATABASE_URL: url })), url };
}

/** An S3 server without buckets (S3_ENDPOINT and keys). Under `npm run test:minio` it is MinIO. */
export async function startObjectStore(): Promise<TestService & { endpoint: string }> {
  const folder = temporaryFolder('s3');
  const [port = 0] = await freePorts(1);
  const keys = { accessKeyId: 'perennial-test', secretAccessKey: 'perennial-test-secret', region: 'us-east-1' };
  const kind = process.env['PERENNIAL_TEST_OBJECT_STORE'] === 'minio' ? 'minio' : undefined;
  const { spec, endpoint } = localObjectStore({ folder, port, ...keys, kind });
  const environment = {
    S3_ENDPOINT: endpoint,
    S3_REGION: keys.region,
    S3_ACCESS_KEY_ID: keys.accessKeyId,
    S3_SECRET_ACCESS_KEY: keys.secretAccessKey,
  };
  return { ...(await startService(spec, folder, environment)), endpoint };
}

/** A Temporal server with its Web UI and in-memory state (TEMPORAL_ADDRESS, TEMPORAL_UI_URL). Starts in a second. */
export async function startTemporal(
  { onDisk }: { onDisk: boolean } = { onDisk: false },
): Promise<TestService & { address: string; uiUrl: string }> {
  const folder = temporaryFolder('temporal');
  const [port = 0, uiPort = 0] = await freePorts(2);
  const { spec, address, uiUrl, hiddenUi } = await localTemporal({
    folder: onDisk ? folder : null,
    port,
    uiPort,
    namespace: 'default',
  });
  const environment = { TEMPORAL_ADDRESS: address, TEMPORAL_UI_URL: uiUrl };
  const closeUi = await guardWebUi(uiPort, hiddenUi);
  const service = await startService(spec, folder, environment);
  const stop = async (): Promise<void> => {
    closeUi();
    await service.stop();
  };
  return { ...service, stop, address, uiUrl };
}

async function startService(
  spec: ChildSpec,
  folder: string,
  environment: Record<string, string>,
): Promise<TestService> {
  let child: RunningChild = await startChild(spec);
  const killNow = (): void => signalProcess(-child.pid, 'SIGKILL');
  process.on('exit', killNow);
  endOrderly();
  return {
    environment,
    pid: () => child.pid,
    pause: () => child.stop(),
    resume: async () => {
      child = await startChild(spec);
    },
    stop: async () => {
      await child.stop();
      process.off('exit', killNow);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

let endsOrderly = false;

/** Exits on a signal or when Jest is gone, so that exit handlers run and no server is left behind. */
function endOrderly(): void {
  if (endsOrderly) return;
  endsOrderly = true;
  process.once('SIGTERM', () => process.exit(143));
  process.once('SIGINT', () => process.exit(130));
  process.once('disconnect', () => process.exit(1));
}

function temporaryFolder(what: string): string {
  return mkdtempSync(join(tmpdir(), `perennial-test-${what}-`));
}
