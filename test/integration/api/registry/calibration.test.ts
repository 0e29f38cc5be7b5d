import sharp from 'sharp';
import { bundleFiles } from '../../../../contracts/registry/bundle.js';
import { calibrationViewSchema } from '../../../../contracts/registry/http-calibration.js';
import { modelInfoSchema, predictionSchema } from '../../../../contracts/inference/http-predict.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import type { ModelVersion } from '../../../../contracts/registry/registry.js';
import { poll } from '../../../support/api-client.js';
import { tinyCalibration, tinyReferences } from '../../../support/tiny-calibration.js';
import { formWith, problemOf, redImage, serves, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';

const base = '/api/v1/mlops/models/dandelion_grass_classifier';

describe('the confidence of a model', () => {
  let postgres: TestService;
  let objectStore: TestService;
  let served: ServedApi;
  let version: ModelVersion;

  beforeAll(async () => {
    [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
    served = await startApi({ ...postgres.environment, ...objectStore.environment });
    version = await served.registerTiny({
      files: {
        [bundleFiles.calibration]: JSON.stringify(tinyCalibration),
        [bundleFiles.reliability]: '<svg xmlns="http://www.w3.org/2000/svg"/>',
        ...tinyReferences(),
      },
    });
    await served.promote(version);
    await serves(served, version);
  });
  afterAll(async () => {
    await served.stop();
    await Promise.all([postgres.stop(), objectStore.stop()]);
  });

  const get = (path: string): Promise<Response> => fetch(served.url + path);
  const setRisk = async (targetRisk: number): Promise<void> => {
    const response = await fetch(`${served.url}${base}/policy`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ serving: { target_risk: targetRisk } }),
    });
    expect(response.status).toBe(200);
  };
  const info = async (): Promise<ReturnType<typeof modelInfoSchema.parse>['calibration']> =>
    modelInfoSchema.parse(await (await get('/model/info')).json()).calibration;
  const predict = async (image = redImage()): Promise<ReturnType<typeof predictionSchema.parse>> => {
    const response = await fetch(`${served.url}/predict`, { method: 'POST', body: formWith('file', await image) });
    return predictionSchema.parse(await response.json());
  };

  it('is shown for a version: reliability, risk, and the effect of the policy', async () => {
    const response = await get(`${base}/versions/${version.version}/calibration`);
    const view = calibrationViewSchema.parse(await response.json());
    expect(view).toMatchObject({
      model_version: String(version.version),
      temperature: 1.25,
      calibration_error: 0.02,
      uncalibrated_calibration_error: 0.04,
      risk_images: 99,
      risk_curve: tinyCalibration.riskCurve,
      abstention: { target_risk: 0.05, abstain_below: 0.9, coverage: 49 / 99, risk_bound: 0.02 },
      quantization: null,
    });
    expect(view.reliability.test.bins).toHaveLength(15);
    const diagram = await get(view.reliability_diagram_url);
    expect(diagram.headers.get('content-type')).toBe('image/svg+xml; charset=utf-8');
    expect(await diagram.text()).toContain('<svg');
  });

  it('is found by alias, and not for an unknown version', async () => {
    const ofProduction = await get(`${base}/versions/@production/calibration`);
    expect(await ofProduction.json()).toMatchObject({ model_version: String(version.version) });
    expect(await problemOf(await get(`${base}/versions/999/calibration`))).toMatchObject({ status: 404 });
    expect(await problemOf(await get('/api/v1/mlops/models/nobody/versions/1/calibration'))).toMatchObject({
      status: 404,
    });
  });

  it('is reported as unknown when the bundle has no calibration', async () => {
    const silent = await served.registerTiny({ bias: 0.5 });
    for (const path of ['calibration', 'calibration/reliability.svg']) {
      const response = await get(`${base}/versions/${silent.version}/${path}`);
      expect(await response.clone().text()).toContain('has no calibration');
      expect(await problemOf(response)).toEqual({ status: 404, code: 'not_found' });
    }
  });

  it.each([
    ['that is truncated', bundleFiles.calibration, JSON.stringify(tinyCalibration).slice(0, 40)],
    ['with the wrong content', bundleFiles.calibration, '{"temperature":"hot"}'],
    ['of the int8 variant that is empty', bundleFiles.quantization, ''],
  ])('names the damaged file of the bundle, and what to do: one %s', async (_, file, content) => {
    const files = { [bundleFiles.calibration]: JSON.stringify(tinyCalibration) };
    const damaged = await served.registerTiny({ files, bias: 0.25 });
    await served.api.objects.put(`${damaged.bundleKey}/${file}`, Buffer.from(content));
    const response = await get(`${base}/versions/${damaged.version}/calibration`);
    const { detail } = problemSchema.parse(await response.clone().json());
    expect(detail).toContain(`${damaged.bundleKey}/${file} is damaged`);
    expect(detail).toContain('train a new model');
    expect(await problemOf(response)).toEqual({ status: 422, code: 'bundle_invalid' });
  });

  it('decides on abstentions by the current policy, without loading the model again', async () => {
    const { loadedAt } = served.host.current() ?? {};
    const tag = (await get('/model/info')).headers.get('etag');
    expect(await info()).toMatchObject({ target_risk: 0.05, abstain_below: 0.9, calibration_error: 0.02 });
    expect(await predict()).toMatchObject({ abstained: false });
    await setRisk(0.005);
    const after = await poll(info, ({ target_risk: risk }) => risk === 0.005);
    // The surest held-out answers are enough for a risk of 2 %, not for 0.5 %.
    expect(after).toMatchObject({ abstain_below: null, coverage: 1, risk_bound: null });
    expect(after.note).toContain('No threshold reaches a risk of 0.5 %');
    expect((await get('/model/info')).headers.get('etag')).not.toBe(tag);
    await setRisk(0.5);
    await poll(info, ({ abstain_below: threshold }) => threshold === 0.6);
    await setRisk(0.05);
    await poll(info, ({ abstain_below: threshold }) => threshold === 0.9);
    expect(served.host.current()?.loadedAt).toBe(loadedAt);
  });

  it('does not count for an out-of-distribution image', async () => {
    const red = await predict();
    expect(red.unfamiliar).toBe(false);
    expect(red.distance).toBeCloseTo(0, 3);
    const blue = sharp({ create: { width: 224, height: 224, channels: 3, background: '#0000ff' } }).png();
    const foreign = await predict(blue.toBuffer());
    expect(foreign.unfamiliar).toBe(true);
    expect(foreign.distance).toBeCloseTo(Math.SQRT2, 3);
  });

  it('turns an answer below the threshold into an abstention', async () => {
    const unsure = await served.registerTiny({
      bias: -11.5,
      files: { [bundleFiles.calibration]: JSON.stringify(tinyCalibration) },
    });
    await served.promote(unsure);
    await serves(served, unsure);
    const before = await predict();
    expect(before.confidence).toBeGreaterThan(0.5);
    expect(before.confidence).toBeLessThan(0.9);
    expect(before.abstained).toBe(true);
    await setRisk(1);
    expect(
      await poll(
        () => predict(),
        ({ abstained }) => !abstained,
      ),
    ).toMatchObject({ confidence: before.confidence });
  });
});
