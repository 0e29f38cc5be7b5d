import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { bundleFiles } from '../../../contracts/registry/bundle.js';
import { acceptedSchema } from '../../../contracts/workflows/accepted.js';
import { packageRoot } from '../../../platform/paths.js';
import { createApiClient, poll, type ApiClient } from '../../support/api-client.js';
import { startStack, type TestStack } from '../../support/stack.js';
import { imagesBelow } from '../images-below.js';
import { writeRequests, type Protocol } from './requests.js';

const infoSchema = z.object({
  model_name: z.string(),
  model_version: z.string(),
  bundle_sha256: z.string(),
  variant: z.string(),
});

/** A trained and promoted model on real services, requests for it, and an API whose settings a bench changes. */
export interface ServingFixture {
  stack: TestStack;
  folder: string;
  modelName: string;
  imagePaths: string[];
  requests: Record<Protocol, string[]>;
  /** Folder of the served bundle. */
  bundleFolder: string;
  api: ApiClient;
  port: number;
  /** Process of the API that `serve` started. */
  apiPid(): number;
  /** Restarts the API with these settings; returns the variant it serves. Its log is discarded. */
  serve(settings: Record<string, string>): Promise<string>;
  /** Kills one of the API's inference threads, if `withFaults` was set. */
  killThread(): void;
  stop(): Promise<void>;
}

const plainApi = 'api/server.js';
const faultyApi = 'test/bench/serving/api-with-faults.js';

/** Number of images, used in rotation. */
const imageCount = 32;

interface FixtureOptions {
  /** How many versions are trained, each promoted. */
  versions?: number;
  /** Whether inference threads can be killed. */
  withFaults?: boolean;
}

export async function startServingFixture(
  datasetDir: string,
  { versions = 1, withFaults = false }: FixtureOptions = {},
): Promise<ServingFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-bench-'));
  const stack = await startStack();
  const api = createApiClient(stack.apiUrl);
  for (let version = 1; version <= versions; version += 1) await train(api, datasetDir, version);
  const { model_name: modelName, bundle_sha256: bundle } = await served(api);
  for (const name of ['api', 'pipeline', 'training'] as const) await stack.kill(name);
  // Both classes, and all kinds of sizes.
  const all = imagesBelow(datasetDir);
  const imagePaths = all.filter((_, index) => index % Math.floor(all.length / imageCount) === 0).slice(0, imageCount);
  let child: ChildProcess | null = null;
  return {
    stack,
    folder,
    modelName,
    imagePaths,
    requests: await writeRequests(folder, modelName, imagePaths),
    bundleFolder: join(stack.environment['PERENNIAL_HOME'] ?? '', 'bundles', bundle.slice(0, 16)),
    api,
    port: Number(stack.environment['PORT']),
    apiPid: () => child?.pid ?? 0,
    async serve(settings) {
      await end(child);
      child = await startApi(withFaults ? faultyApi : plainApi, {
        ...stack.environment,
        LOG_LEVEL: 'info',
        PREDICTION_CACHE_ITEMS: '0',
        ...settings,
      });
      return (await served(api)).variant;
    },
    killThread: () => child?.send('kill a thread'),
    async stop() {
      await end(child);
      await stack.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Where the FP32 or INT8 graph of the served bundle is. */
export function graphOf({ bundleFolder }: ServingFixture, variant: string): string {
  return join(bundleFolder, variant === 'int8' ? bundleFiles.onnxInt8 : bundleFiles.onnx);
}

/** Trains a version and promotes it, regardless of the promotion gate. */
async function train(api: ApiClient, datasetDir: string, version: number): Promise<void> {
  const { body } = await api.post('/api/v1/pipelines/retraining', {
    source: { kind: 'folder', path: datasetDir },
    hyperparameters: { seed: version },
  });
  const { status, error, model_name: name } = await api.ended(acceptedSchema.parse(body).run_id, 600_000);
  if (status !== 'completed') throw new Error(JSON.stringify(error));
  // The first version is always promoted, a later one when the promotion gate finds it better.
  if ((await served(api)).model_version === String(version)) return;
  const wish = { model_name: name, version: String(version), reason: 'bench', override: true };
  const answer = await api.post('/api/v1/mlops/models/promote', wish);
  // 202: the promotion is still running.
  if (answer.status !== 200 && answer.status !== 202) throw new Error(JSON.stringify(answer.body));
  await poll(
    () => served(api),
    ({ model_version: now }) => now === String(version),
    60_000,
  );
}

function served(api: ApiClient): Promise<z.infer<typeof infoSchema>> {
  return poll(
    async () => infoSchema.safeParse((await api.get('/model/info')).body).data,
    (info) => info !== undefined,
  ).then((info) => infoSchema.parse(info));
}

async function startApi(program: string, environment: Record<string, string>): Promise<ChildProcess> {
  const child = fork(join(packageRoot, 'dist', program), {
    env: { PATH: process.env['PATH'] ?? '', ...environment },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
  });
  await once(child, 'message');
  return child;
}

async function end(child: ChildProcess | null): Promise<void> {
  if (!child || child.exitCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}
