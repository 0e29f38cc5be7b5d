import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import sharp from 'sharp';
import {
  createValidationActivities,
  type ValidationActivities,
  type ValidationDependencies,
} from '../../../activities/validation/activities.js';
import { crossValidationOf } from '../../../activities/validation/cross-validation.js';
import { remeasureAll } from '../../../activities/validation/remeasure.js';
import { modelPolicySchema } from '../../../contracts/promotion/policy.js';
import { bundleFiles, currentPreprocessing } from '../../../contracts/registry/bundle.js';
import type { Decision, ModelVersion } from '../../../contracts/registry/registry.js';
import type { Remeasurement } from '../../../contracts/registry/remeasurement.js';
import { nextSemanticVersion } from '../../../domain/registry/semantic-version.js';
import { loadConfig } from '../../../platform/config.js';
import { createLogger } from '../../../platform/logging.js';
import { fetchBundle, forgetBundle, publishBundle } from '../../../stores/registry/bundles.js';
import { createObjectStore } from '../../../stores/objects/object-store.js';
import { createPolicyStore } from '../../../stores/promotion/policies.js';
import { createRegistryStore, type RegistryStore } from '../../../stores/registry/registry.js';
import { evaluationOf, gateDefaults, tester, unfenced } from '../../support/measurements.js';
import { startIngestionFixture, type IngestionFixture } from '../../support/ingestion-fixture.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { flipByte, writeTinyBundle } from '../../support/tiny-bundle.js';

/** The tiny model separates red from green; with a large bias it predicts red for all, which is right half of the time. */
const labels = ['red', 'green'];
const rightAlways = { bias: 0, accuracy: 1 };
const alwaysRed = { bias: 100, accuracy: 0.5 };

const folder = temporaryFolder();
const bundleFolder = join(folder, 'bundles');
let fixture: IngestionFixture;
let registry: RegistryStore;
let activities: ValidationActivities;

beforeAll(async () => {
  fixture = await startIngestionFixture();
  await fixture.ingest({ kind: 'folder', path: fixture.folder(await pictures()) });
  registry = createRegistryStore(fixture.database.db);
  activities = createValidationActivities(dependencies());
}, 60_000);
afterAll(() => fixture.stop());

function dependencies(): ValidationDependencies {
  return {
    registry,
    datasets: fixture.datasets,
    objects: fixture.deps.objects,
    bundleFolder,
    policies: createPolicyStore(fixture.database.db),
    gate: { ...gateDefaults, minAccuracy: 0.4 },
    threads: 2,
    imageLimits: { maxPixels: 1e6, maxBytes: 1e6, minSide: 8 },
  };
}

async function pictures(): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {};
  for (let shade = 0; shade < 12; shade++) {
    const strong = 140 + 8 * shade;
    for (const [label, background] of [
      ['red', { r: strong, g: 20, b: 20 }],
      ['green', { r: 20, g: strong, b: 20 }],
    ] as const) {
      files[`${label}/${shade}.png`] = await sharp({ create: { width: 32, height: 32, channels: 3, background } })
        .png()
        .toBuffer();
    }
  }
  return files;
}

async function register(modelName: string, { bias, accuracy }: typeof rightAlways): Promise<ModelVersion> {
  const runId = randomUUID();
  const source = join(folder, runId);
  await writeTinyBundle(source, { labels, bias, modelName, runId });
  const { digest } = await fixture.datasets.version('flowers', 1);
  return registry.register({
    ...(await publishBundle(fixture.deps.objects, source, modelName)),
    modelName,
    runId,
    architecture: 'cnn',
    labels,
    dataset: 'flowers',
    datasetVersion: 1,
    datasetDigest: digest,
    sizeBytes: 1,
    semanticVersion: nextSemanticVersion,
    evaluation: evaluationOf(accuracy),
  });
}

function validate({ modelName, version }: ModelVersion, by = activities): Promise<Decision> {
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  return environment.run((input: { modelName: string; version: number }) => by.validateCandidate(input), {
    modelName,
    version,
  });
}

async function promote(version: ModelVersion): Promise<ModelVersion> {
  const { modelName } = version;
  await registry.promote({
    modelName,
    version: version.version,
    reason: 'test',
    idempotencyKey: randomUUID(),
    ...unfenced,
  });
  return version;
}

describe('validateCandidate', () => {
  it('promotes the first model that is good enough', async () => {
    expect(await validate(await register('first', rightAlways))).toMatchObject({
      outcome: 'promote',
      comparison: null,
    });
  });

  it('compares with Production on the same images, and refuses what is worse', async () => {
    await promote(await register('worse', rightAlways));
    const candidate = await register('worse', alwaysRed);
    const decision = await validate(candidate);
    expect(decision.outcome).toBe('refuse');
    expect(decision.comparison).toMatchObject({ productionVersion: 1, candidateAccuracy: 0.5, productionAccuracy: 1 });
    expect((await registry.get('worse', candidate.version)).decision).toEqual(decision);
  });

  it('promotes what is better', async () => {
    await promote(await register('better', alwaysRed));
    expect(await validate(await register('better', rightAlways))).toMatchObject({ outcome: 'promote' });
  });

  it('refuses a model that always gives one answer, though its accuracy suffices, and times what it answers', async () => {
    const decision = await validate(await register('constant', alwaysRed));
    expect(decision.outcome).toBe('refuse');
    expect(decision.reasons.filter(({ passed }) => !passed).map(({ check }) => check)).toEqual(['above_majority']);
    expect(decision.summary).toMatch(/^Refused: Test accuracy 50.0 % .* is not above the 50.0 % of always answering/);
    expect(decision.reasons.find(({ check }) => check === 'answer_time')?.detail).toMatch(/ ms over \d+ test images/);
  });

  it('refuses what was cross-validated badly, by the policy of the model', async () => {
    const candidate = await register('unstable', rightAlways);
    const policy = modelPolicySchema.parse({ promotion: { minCrossValidatedAccuracy: 0.9 } });
    await createPolicyStore(fixture.database.db).set('unstable', policy, tester);
    const key = `${candidate.bundleKey}/${bundleFiles.metrics}`;
    const metrics: unknown = JSON.parse(Buffer.from(await fixture.deps.objects.get(key)).toString('utf8'));
    const crossValidation = { folds: 5, accuracies: [], mean_accuracy: 0.6, standard_deviation: 0.1 };
    const changed = Object.assign({}, metrics, { cross_validation: crossValidation });
    await fixture.deps.objects.put(key, Buffer.from(JSON.stringify(changed)));
    expect(await crossValidationOf(fixture.deps, candidate)).toMatchObject({ folds: 5, meanAccuracy: 0.6 });
    expect((await validate(candidate)).summary).toMatch(/Mean accuracy over 5 folds 60.0 % .* the minimum of 90.0 %/);
  });

  it('refuses a model that is less accurate than its training measured', async () => {
    const decision = await validate(await register('boaster', { bias: 100, accuracy: 0.9 }));
    expect(decision.outcome).toBe('refuse');
    expect(decision.reasons.filter(({ passed }) => !passed).map(({ check }) => check)).toEqual(['smoke_test']);
  });

  it('refuses a candidate whose bundle is damaged in the store, and says which file', async () => {
    const candidate = await register('damaged', rightAlways);
    const key = `${candidate.bundleKey}/${bundleFiles.onnx}`;
    const copy = join(folder, 'copy.onnx');
    await writeFile(copy, await fixture.deps.objects.get(key));
    await flipByte(folder, 'copy.onnx');
    await fixture.deps.objects.putFile(key, copy);
    const decision = await validate(candidate);
    expect(decision.outcome).toBe('refuse');
    expect(decision.summary).toContain(bundleFiles.onnx);
  });

  it('fetches a damaged local copy of Production again', async () => {
    const production = await promote(await register('healed', alwaysRed));
    await flipByte(await fetchBundle(fixture.deps.objects, production, bundleFolder), bundleFiles.onnx);
    const decision = await validate(await register('healed', rightAlways));
    expect(decision.comparison).toMatchObject({ productionVersion: 1 });
  });

  it('promotes a good candidate when Production cannot be served', async () => {
    const production = await promote(await register('lost', alwaysRed));
    await fixture.deps.objects.delete(`${production.bundleKey}/${bundleFiles.onnx}`);
    const decision = await validate(await register('lost', rightAlways));
    expect(decision).toMatchObject({ outcome: 'promote', comparison: null });
    expect(decision.summary).toContain('Production cannot be served');
  });

  it('compares with what Production answered as a candidate, without serving it again', async () => {
    const production = await register('remembered', rightAlways);
    await validate(production);
    await promote(production);
    await fixture.deps.objects.delete(`${production.bundleKey}/${bundleFiles.onnx}`);
    await forgetBundle(production, bundleFolder);
    const decision = await validate(await register('remembered', alwaysRed));
    expect(decision.comparison).toMatchObject({ productionVersion: 1, candidateAccuracy: 0.5, productionAccuracy: 1 });
    const afterRestart = await validate(
      await register('remembered', alwaysRed),
      createValidationActivities(dependencies()),
    );
    expect(afterRestart.comparison).toBeNull();
  });

  it('decides nothing when the object store refuses its keys', async () => {
    const candidate = await register('refused', rightAlways);
    const environment = { ...fixture.objectServer.environment, S3_SECRET_ACCESS_KEY: 'not-the-secret' };
    const config = loadConfig(environment);
    const objects = createObjectStore({ ...config, S3_ENDPOINT: config.S3_ENDPOINT ?? '' });
    const locked = createValidationActivities({ ...dependencies(), objects, bundleFolder: join(folder, 'locked') });
    await expect(validate(candidate, locked)).rejects.toMatchObject({ code: 'object_store_refused' });
    objects.close();
    expect((await registry.get('refused', candidate.version)).decision).toBeNull();
  });

  it('decides nothing while the object store is unavailable', async () => {
    const candidate = await register('waiting', rightAlways);
    await fixture.objectServer.pause();
    await expect(validate(candidate)).rejects.toMatchObject({ code: 'object_store_unavailable' });
    await fixture.objectServer.resume();
    expect((await registry.get('waiting', candidate.version)).decision).toBeNull();
    expect(await validate(candidate)).toMatchObject({ outcome: 'promote' });
  });
});

describe('a version of an earlier preprocessing', () => {
  const signal = new AbortController().signal;
  const again = (): Promise<void> => remeasureAll({ ...dependencies(), logger: createLogger('test', 'fatal') }, signal);
  const waits = ({ modelName, version }: ModelVersion): Promise<unknown> =>
    fixture.database.db.query('INSERT INTO remeasurements (model_name, version, preprocessing) VALUES ($1, $2, $3)', [
      modelName,
      version,
      currentPreprocessing,
    ]);

  const remeasurementOf = async (modelName: string): Promise<Remeasurement | null> =>
    (await registry.remeasurements(modelName, [1])).get(1) ?? null;

  it('is measured on its test images with the current pixels, once', async () => {
    const version = await register('remeasured', alwaysRed);
    expect(await remeasurementOf('remeasured')).toBeNull();
    await waits(version);
    expect(await remeasurementOf('remeasured')).toMatchObject({ measuredAt: null });
    expect(await registry.pendingRemeasurements()).toEqual([{ modelName: 'remeasured', version: 1 }]);
    await again();
    const measured = await remeasurementOf('remeasured');
    expect(measured).toMatchObject({ accuracy: 0.5, failure: null });
    expect(measured?.images).toBeGreaterThan(1);
    expect(await registry.pendingRemeasurements()).toEqual([]);
    await registry.recordRemeasurement('remeasured', 1, { failure: 'a second measurement' });
    expect(await remeasurementOf('remeasured')).toEqual(measured);
    expect((await registry.get('remeasured', 1)).decision).toBeNull();
  });

  it('waits on while the object store is away, and is given up when its bundle is gone', async () => {
    const version = await register('unmeasurable', rightAlways);
    await waits(version);
    await fixture.objectServer.pause();
    await expect(again()).rejects.toMatchObject({ code: 'object_store_unavailable' });
    await fixture.objectServer.resume();
    expect(await remeasurementOf('unmeasurable')).toMatchObject({ measuredAt: null });
    await fixture.deps.objects.delete(`${version.bundleKey}/${bundleFiles.onnx}`);
    await again();
    expect(await remeasurementOf('unmeasurable')).toMatchObject({ accuracy: null, images: null });
    expect((await remeasurementOf('unmeasurable'))?.failure).toContain(bundleFiles.onnx);
  });
});
