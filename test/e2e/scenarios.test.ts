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
/** What a scenario may take on a machine that does much else. */
const limitMs = 200_000;

/** A policy that nobody would mistake for the default, nor for one of a scenario. */
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

async function told(program: Program): Promise<{ code: number | null; output: string }> {
  return { code: await program.ended, output: program.output() };
}

async function get<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  return schema.parse((await product.api.get(path)).body);
}

/** What was before the scenario is there again, and nothing of it goes on. */
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
  it('lists the three scenarios when none of them is named, and plays none without a stack', async () => {
    const [unnamed, unknown, alone] = await Promise.all([
      told(start()),
      told(start('fire')),
      told(startProgram([entry, 'rollback'], { PERENNIAL_HOME: join(home, 'nothing') })),
    ]);
    for (const { output } of [unnamed, unknown]) {
      for (const name of ['degradation', 'new-data', 'rollback'])
        expect(output).toMatch(new RegExp(`^  ${name} +\\w`, 'm'));
    }
    expect([unnamed.code, unknown.code, alone.code]).toEqual([0, 1, 1]);
    expect(alone.output).toMatch(/does not run on .*npm start/);
  }, 60_000);

  it('that is broken off in the middle of a training puts everything back', async () => {
    const program = start('degradation');
    await program.line(/has 72 drawn pictures/);
    await poll(
      () => get('/api/v1/pipelines?status=running', pageOf(pipelineSchema)),
      ({ items }) => items.some(({ steps }) => steps.some(isTraining)),
    );
    program.process.kill('SIGTERM');
    const { code, output } = await told(program);
    expect(code).toBe(1);
    expect(output).toMatch(/version 1 serves again/);
    await expectAsBefore();
  }, 60_000);

  it('degradation: worse predictions end in an alert and a better model, started by accuracy alone', async () => {
    const { code, output } = await told(start('degradation'));
    expect(output).toMatch(/It came true/);
    expect(code).toBe(0);
    const decision = await newestDecision();
    expect(decision).toMatchObject({
      kind: 'continuous_training',
      trigger: 'performance',
      run: { outcome: 'promoted', joined: false },
    });
    const alerts = await get('/api/v1/notifications?kind=model.degraded', pageOf(notificationViewSchema));
    expect(alerts.items).toMatchObject([{ payload: { version: Number(decision?.metrics.production_version) } }]);
    const [, before, after] = /: (\d+) of 20 unseen pictures of buds are right, (\d+) were/.exec(output) ?? [];
    expect(Number(before)).toBeGreaterThan(Number(after));
    await expectAsBefore();
  }, 240_000);

  it('new-data: pictures that were added start a retraining by count and share', async () => {
    const { code, output } = await told(start('new-data'));
    expect(output).toMatch(/version \d+ was (promoted|refused)\. The gate said: /);
    expect(code).toBe(0);
    const decision = await newestDecision();
    expect(decision).toMatchObject({ trigger: 'new_data', metrics: { new_images: 40 }, run: { status: 'completed' } });
    const fired = decision?.reasons.flatMap(({ check, fired: isFired }) => (isFired ? [check] : []));
    expect(fired).toEqual(['new_images', 'new_share']);
    await expectAsBefore();
  }, 240_000);

  it('rollback: a bad model that was forced into Production is taken out by its guard, and no prediction fails', async () => {
    const { code, output } = await told(start('rollback'));
    expect(output).toMatch(/s after its first answer version \d+ answered again; no prediction failed/);
    expect(code).toBe(0);
    const { items } = await get(`${model}/history?limit=2`, pageOf(productionChangeViewSchema));
    expect(items[1]).toMatchObject({ kind: 'rollback', by: 'guard' });
    expect(items[1]?.reason).toContain('Confidence has collapsed');
    await expectAsBefore();
  }, 240_000);
});
