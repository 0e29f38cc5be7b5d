import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { notificationViewSchema } from '../../contracts/notifications/http-notifications.js';
import { productionChangeViewSchema } from '../../contracts/registry/http-models.js';
import { policyBodySchema } from '../../contracts/promotion/http-policies.js';
import { decisionViewOfRetrainingSchema } from '../../contracts/retraining/http-retraining.js';
import { pipelineSchema, type pipelineStepSchema } from '../../contracts/pipelines/http-pipelines.js';
import { pageOf } from '../../contracts/http/page.js';
import { packageRoot } from '../../platform/paths.js';
import { poll } from '../support/api-client.js';
import { startProgram, type Program } from '../support/program.js';
import { startProduct, type RunningProduct } from '../support/running-product.js';

const entry = join(packageRoot, 'infra/setup/scenario.mjs');
const model = '/api/v1/mlops/models/dandelion_grass_classifier';
/** Generous, for a machine under load. */
const limitMs = 200_000;

/** A policy that differs from the default and from those of the scenarios. */
const policy = policyBodySchema.parse({
  approval: { mode: 'always' },
  retraining: { min_accuracy: 0.7, cool_down_minutes: 1_000 },
  guard: { minutes: 3 },
  retention: { versions: 12 },
});

let home: string;
let product: RunningProduct;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'perennial-home-'));
  product = await startProduct({ DATASET_DIR: '', PUBLIC_DATASET_URL: 'http://127.0.0.1:9' }, home);
  await product.settled();
  const body = JSON.stringify(policy);
  const headers = { 'content-type': 'application/json' };
  expect((await fetch(`${product.url}${model}/policy`, { method: 'PUT', headers, body })).status).toBe(200);
}, 180_000);

afterAll(async () => {
  await product.stop();
  await rm(home, { recursive: true, force: true });
});

function start(...args: string[]): Program {
  const program = startProgram([entry, ...args], { PERENNIAL_HOME: home });
  const timer = setTimeout(() => program.process.kill('SIGKILL'), limitMs);
  void program.ended.then(() => clearTimeout(timer));
  return program;
}

async function resultOf(program: Program): Promise<{ code: number | null; output: string }> {
  return { code: await program.ended, output: program.output() };
}

async function get<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  return schema.parse((await product.api.get(path)).body);
}

/** Asserts that the version and the policy are restored and that no run of the scenario is left. */
async function expectAsBefore(): Promise<void> {
  expect(await get('/health', z.object({ model_version: z.string() }))).toEqual({ model_version: '1' });
  expect(await get(`${model}/policy`, policyBodySchema)).toEqual(policy);
  expect(await get('/api/v1/pipelines?status=running', z.object({ items: z.array(z.unknown()) }))).toEqual({
    items: [],
  });
}

function isTraining({ name, status }: z.infer<typeof pipelineStepSchema>): boolean {
  return name === 'train_new_model' && status === 'running';
}

async function newestDecision(): Promise<z.output<typeof decisionViewOfRetrainingSchema> | undefined> {
  return (await get('/api/v1/mlops/retraining/history?limit=1', pageOf(decisionViewOfRetrainingSchema))).items[0];
}

describe('npm run scenario', () => {
  it('lists the three scenarios when no valid name is given, and runs none without a stack', async () => {
    const [unnamed, unknown, alone] = await Promise.all([
      resultOf(start()),
      resultOf(start('fire')),
      resultOf(startProgram([entry, 'rollback'], { PERENNIAL_HOME: join(home, 'nothing') })),
    ]);
    for (const { output } of [unnamed, unknown]) {
      for (const name of ['degradation', 'new-data', 'rollback'])
        expect(output).toMatch(new RegExp(`^  ${name} +\\w`, 'm'));
    }
    expect([unnamed.code, unknown.code, alone.code]).toEqual([0, 1, 1]);
    expect(alone.output).toMatch(/is not running on .*npm start/);
  }, 60_000);

  it('restores everything when it is interrupted in the middle of a training', async () => {
    const program = start('degradation');
    await program.line(/has 72 drawn images/);
    await poll(
      () => get('/api/v1/pipelines?status=running', pageOf(pipelineSchema)),
      ({ items }) => items.some(({ steps }) => steps.some(isTraining)),
    );
    program.process.kill('SIGTERM');
    const { code, output } = await resultOf(program);
    expect(code).toBe(1);
    expect(output).toMatch(/version 1 is served again/);
    await expectAsBefore();
  }, 60_000);

  it('degradation: worse predictions end in an alert and a better model, started by accuracy alone', async () => {
    const { code, output } = await resultOf(start('degradation'));
    expect(output).toMatch(/The scenario succeeded/);
    expect(code).toBe(0);
    const decision = await newestDecision();
    expect(decision).toMatchObject({
      kind: 'continuous_training',
      trigger: 'performance',
      run: { outcome: 'promoted', joined: false },
    });
    const alerts = await get('/api/v1/notifications?kind=model.degraded', pageOf(notificationViewSchema));
    expect(alerts.items).toMatchObject([{ payload: { version: Number(decision?.metrics.production_version) } }]);
    const [, before, after] =
      /: (\d+) of 20 unseen images of buds are classified correctly, (\d+) were/.exec(output) ?? [];
    expect(Number(before)).toBeGreaterThan(Number(after));
    await expectAsBefore();
  }, 240_000);

  it('new-data: added images start a retraining by number and share', async () => {
    const { code, output } = await resultOf(start('new-data'));
    expect(output).toMatch(/version \d+ was (promoted|refused)\. Decision of the promotion gate: /);
    expect(code).toBe(0);
    const decision = await newestDecision();
    expect(decision).toMatchObject({ trigger: 'new_data', metrics: { new_images: 40 }, run: { status: 'completed' } });
    const fired = decision?.reasons.flatMap(({ check, fired: isFired }) => (isFired ? [check] : []));
    expect(fired).toEqual(['new_images', 'new_share']);
    await expectAsBefore();
  }, 240_000);

  it('rollback: a bad model that was forced into Production is rolled back by its guard, and no prediction fails', async () => {
    const { code, output } = await resultOf(start('rollback'));
    expect(output).toMatch(
      /version \d+ answered again [\d.]+ s after the first prediction of version \d+; no prediction failed/,
    );
    expect(code).toBe(0);
    const { items } = await get(`${model}/history?limit=2`, pageOf(productionChangeViewSchema));
    expect(items[1]).toMatchObject({ kind: 'rollback', by: 'guard' });
    expect(items[1]?.reason).toContain('Confidence has collapsed');
    await expectAsBefore();
  }, 240_000);
});
