import { hash } from 'node:crypto';
import { z } from 'zod';
import {
  aliasViewSchema,
  deletedVersionSchema,
  productionChangeViewSchema,
  versionComparisonSchema,
} from '../../../../contracts/registry/http-models.js';
import { currentPreprocessing } from '../../../../contracts/registry/bundle.js';
import { modelVersionViewSchema, versionFileViewSchema } from '../../../../contracts/registry/http-versions.js';
import { pageOf } from '../../../../contracts/http/page.js';
import { createAuditStore } from '../../../../stores/audit/audit.js';
import type { NewVersion } from '../../../../stores/registry/new-version.js';
import { createRequests } from '../../../support/requests.js';
import { decisionOf, evaluationOf } from '../../../support/measurements.js';
import { newVersionOf } from '../../../support/registry-records.js';
import { startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';

const models = '/api/v1/mlops/models';

let services: TestService[];
let served: ServedApi;
beforeAll(async () => {
  const [postgres, objects] = await Promise.all([startPostgres(), startObjectStore()]);
  services = [postgres, objects];
  served = await startApi({ ...postgres.environment, ...objects.environment });
});
afterAll(async () => {
  await served.stop();
  await Promise.all(services.map((service) => service.stop()));
});

const { ask, answer, problem } = createRequests(() => served.url);

async function register(modelName: string, given: Partial<NewVersion> = {}): Promise<void> {
  await served.registry.register(newVersionOf(modelName, given));
}

async function auditOf(subject: string): Promise<unknown[]> {
  const { items } = await createAuditStore(served.api.database).list({ limit: 20, subject });
  return items.map(({ action, actor, via }) => [action, actor, via]).reverse();
}

const paired = {
  productionVersion: 1,
  images: 20,
  candidateAccuracy: 0.9,
  productionAccuracy: 0.8,
  difference: 0.1,
  interval: [0, 0.2] satisfies [number, number],
  onlyCandidateRight: 2,
  onlyProductionRight: 0,
  mcnemarPValue: 0.5,
};

describe('comparing versions', () => {
  it('shows metrics and classes side by side, and that the test images are the same', async () => {
    await register('compared', { evaluation: evaluationOf(0.8) });
    await register('compared', { evaluation: evaluationOf(0.9) });
    const comparison = { ...decisionOf('promote'), comparison: paired };
    await served.registry.recordDecision('compared', 2, comparison);
    const body = await answer(versionComparisonSchema, `${models}/compared/compare?versions=1,@latest`);
    expect(body.same_test_set).toBe(true);
    expect(body.versions.map(({ version }) => version)).toEqual(['1', '2']);
    expect(body.measures.find(({ name }) => name === 'accuracy')).toMatchObject({ values: [0.8, 0.9], best: ['2'] });
    expect(body.measures.find(({ name }) => name === 'accuracy')?.differences[1]).toBeCloseTo(0.1);
    expect(body.measures.find(({ name }) => name === 'calibration_error')?.best).toEqual(['1', '2']);
    expect(body.measures.find(({ name }) => name === 'loss')?.best).toEqual(['2']);
    expect(body.per_class.map(({ label, f1 }) => [label, f1])).toEqual([
      ['dandelion', [0.8, 0.9]],
      ['grass', [0.8, 0.9]],
    ]);
    expect(body.decisions).toMatchObject([{ version: '2', comparison: { production_version: '1' } }]);
  });

  it('reports that the test images differ, and omits values that a version lacks', async () => {
    const other = { ...evaluationOf(0.9), perClass: evaluationOf(0.9).perClass.slice(0, 1) };
    await register('differing');
    await register('differing', { datasetVersion: 2, datasetDigest: 'e', evaluation: other });
    const body = await answer(versionComparisonSchema, `${models}/differing/compare?versions=1,2`);
    expect(body.same_test_set).toBe(false);
    expect(body.note).toContain('flowers version 1, flowers version 2');
    expect(body.per_class.find(({ label }) => label === 'grass')?.f1).toEqual([0.9, null]);
  });

  it('needs two to ten existing versions', async () => {
    const compare = (versions: string): Promise<{ status: number }> =>
      problem(`${models}/differing/compare?versions=${versions}`);
    expect(await compare('1')).toMatchObject({ status: 400 });
    expect(await compare('1,1')).toMatchObject({ status: 400 });
    expect(await compare('1,x')).toMatchObject({ status: 400 });
    expect(await compare('1,2,3,4,5,6,7,8,9,10,11')).toMatchObject({ status: 400 });
    expect(await compare('1,9')).toMatchObject({ status: 404 });
  });
});

describe('the history of Production', () => {
  it('shows actor, reason and replaced version, and the version at a given time', async () => {
    await register('told');
    await register('told');
    await served.promote(await served.registry.get('told', 1));
    const between = new Date();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await served.promote(await served.registry.get('told', 2));
    const page = pageOf(productionChangeViewSchema);
    const { items } = await answer(page, `${models}/told/history`);
    expect(items).toMatchObject([
      { version: '2', instead_of: '1', until: null },
      { version: '1', instead_of: null, by: 'test', reason: 'test', until: items[0]?.at },
    ]);
    const then = await answer(page, `${models}/told/history?at=${between.toISOString()}`);
    expect(then.items).toEqual([items[1]]);
    const before = await answer(page, `${models}/told/history?at=2020-01-01T00:00:00%2B01:00`);
    expect(before.items).toEqual([]);
    const first = await answer(page, `${models}/told/history?limit=1`);
    const rest = await answer(page, `${models}/told/history?page_token=${first.next_page_token ?? ''}`);
    expect([...first.items, ...rest.items]).toEqual(items);
    expect(await problem(`${models}/told/history?at=yesterday`)).toMatchObject({ status: 400 });
  });
});

describe('a version with its bundle', () => {
  it('gives every file for download, with the digest that the manifest has', async () => {
    const version = await served.registerTiny({ modelName: 'downloads' });
    const path = `${models}/downloads/versions/1/files`;
    const { items } = await answer(z.object({ items: z.array(versionFileViewSchema) }), path);
    expect(items.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['labels.json', 'manifest.json', 'model.onnx', 'preprocessing.json']),
    );
    for (const { url, sha256, size_bytes: sizeBytes, content_type: type } of items) {
      const response = await ask(url);
      const bytes = Buffer.from(await response.arrayBuffer());
      expect({ sha256: hash('sha256', bytes), sizeBytes: bytes.length }).toEqual({ sha256, sizeBytes });
      expect(response.headers.get('content-type')?.startsWith(type)).toBe(true);
      expect(response.headers.get('etag')).toBe(`"${sha256}"`);
    }
    expect(items.find(({ name }) => name === 'manifest.json')?.sha256).toBe(version.bundleSha256);
    for (const name of ['nothing.bin', '..%2F..%2Fsecret', 'model.onnx%00']) {
      expect((await problem(`${path}/${name}`)).status).toBe(404);
    }
  });

  it('says, in the model card too, what it reaches with the pixels of this release, if it was measured with others', async () => {
    const version = await served.registerTiny({ modelName: 'older' });
    const card = async (): Promise<[string, string | null]> => {
      const reply = await ask(`${models}/older/versions/1/model-card`);
      return [await reply.text(), reply.headers.get('etag')];
    };
    const address = `${models}/older/versions/1`;
    const told = async (): Promise<unknown> => (await answer(modelVersionViewSchema, address)).remeasurement;
    const [plain, firstTag] = await card();
    expect(await told()).toBeNull();
    expect(plain).not.toContain('pixels of this release');
    await served.api.database.query(
      `INSERT INTO remeasurements (model_name, version, preprocessing) VALUES ('older', 1, ${currentPreprocessing})`,
    );
    expect((await card())[0]).toContain('still to be measured');
    const waiting = { preprocessing: currentPreprocessing, images: null, accuracy: null, failure: null };
    expect(await told()).toEqual({ ...waiting, measured_at: null });
    const unmeasured = (await ask(address)).headers.get('etag');
    await served.registry.recordRemeasurement('older', 1, { images: 40, accuracy: 0.875 });
    const [measured, tag] = await card();
    const before = (100 * version.evaluation.accuracy).toFixed(1);
    expect(measured).toContain(`Accuracy before: ${before} %. With these pixels, on 40 test images: **87.5 %**`);
    expect(tag).not.toBe(firstTag);
    expect(await told()).toMatchObject({ ...waiting, images: 40, accuracy: 0.875 });
    const { items } = await answer(pageOf(modelVersionViewSchema), `${models}/older/versions`);
    expect(items[0]?.remeasurement).toEqual(await told());
    expect(items[0]?.remeasurement?.measured_at).not.toBeNull();
    expect((await ask(address)).headers.get('etag')).not.toBe(unmeasured);
  });

  it('has a model card, and is deleted with its bundle once nothing refers to it', async () => {
    const version = await served.registerTiny({ modelName: 'bundled' });
    const path = `${models}/bundled/versions/1`;
    const card = await ask(`${path}/model-card`);
    expect(card.headers.get('content-type')).toBe('text/markdown; charset=utf-8');
    expect(await card.text()).toBe('# A tiny model for tests\n');

    await answer(aliasViewSchema, `${models}/bundled/aliases/champion`, { method: 'PUT', body: { version: '1' } });
    const refused = await problem(path, { method: 'DELETE' });
    expect(refused).toMatchObject({ status: 409, code: 'referenced' });
    expect(refused.detail).toContain('the alias champion points at it');

    await answer(aliasViewSchema, `${models}/bundled/aliases/champion`, { method: 'DELETE' });
    expect(await problem(path, { method: 'DELETE', ifMatch: '"1.99"' })).toMatchObject({ status: 412 });
    expect(await answer(deletedVersionSchema, `${path}?reason=tidy`, { method: 'DELETE' })).toMatchObject({
      version: '1',
      deleted_by: 'ada',
    });
    const objects = served.api.objects;
    expect(await objects.head(`${version.bundleKey}/manifest.json`)).toBeNull();
    for await (const { key } of objects.list(`${version.bundleKey}/`)) throw new Error(`${key} is still there`);

    const gone = await problem(path);
    expect(gone).toMatchObject({ status: 404 });
    expect(gone.detail).toMatch(/deleted by ada at \d{4}-\d\d-\d\d/);
    expect(await problem(path, { method: 'DELETE' })).toMatchObject({ status: 404 });
    expect(await auditOf('models/bundled/versions/1')).toEqual([
      ['version.register', 'trainModel', 'workflow'],
      ['version.delete', 'ada', 'rest'],
    ]);
    expect((await answer(pageOf(modelVersionViewSchema), `${models}/bundled/versions`)).items).toEqual([]);
  });

  it('in Production or before it cannot be deleted', async () => {
    await register('kept');
    await register('kept');
    for (const version of [1, 2]) await served.promote(await served.registry.get('kept', version));
    for (const version of ['1', '2']) {
      const refused = await problem(`${models}/kept/versions/${version}`, { method: 'DELETE' });
      expect(refused).toMatchObject({ status: 409, code: 'referenced' });
    }
  });
});
