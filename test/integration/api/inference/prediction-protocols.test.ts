import { batchAnswerSchema } from '../../../../contracts/inference/http-predict-batch.js';
import { predictionSchema } from '../../../../contracts/inference/http-predict.js';
import { formWith, problemOf, redImage, serves } from '../../../support/served-api.js';
import { startPredictionFixture, type PredictionFixture } from '../../../support/prediction-fixture.js';

/** The ways to send an image for a prediction, on the real engine. */
describe('the routes for images', () => {
  let fixture: PredictionFixture;
  let red: Buffer;
  beforeAll(async () => {
    fixture = await startPredictionFixture();
    red = fixture.red;
  });
  afterAll(() => fixture.stop());

  describe('POST /predict', () => {
    it.each(['image/png', 'image/jpeg', 'application/octet-stream', 'IMAGE/PNG; q=1'])(
      'takes the bytes of an image as %s',
      async (type) => {
        const prediction = predictionSchema.parse(
          await (await fixture.send('/predict', new Uint8Array(red), { 'content-type': type })).json(),
        );
        expect(prediction).toMatchObject({ prediction: 'dandelion', model_version: String(fixture.version.version) });
      },
    );

    it('takes an image in JSON: as base64 of either alphabet, as a data URL, and by its URL', async () => {
      const base64 = red.toString('base64');
      const lines = base64.replaceAll(/(.{60})/g, '$1\r\n');
      const images = [base64, lines, red.toString('base64url'), `data:image/png;base64,${base64}`];
      const bodies = [...images.map((image) => ({ image })), { url: `http://${fixture.imagesHost}/red.png` }];
      for (const body of bodies) {
        expect(predictionSchema.parse(await (await fixture.sendJson('/predict', body)).json()).prediction).toBe(
          'dandelion',
        );
      }
    });

    it.each([
      ['no image', 400, 'bad_request', {}],
      ['two of them', 400, 'bad_request', { image: 'AAAA', url: 'http://a' }],
      ['an unknown key', 400, 'bad_request', { img: 'AAAA' }],
      ['text that is not base64', 400, 'bad_request', { image: 'I am no base64!' }],
      ['an empty text', 400, 'bad_request', { image: '' }],
      ['base64 of something else', 415, 'unsupported_type', { image: Buffer.alloc(300, 'text').toString('base64') }],
      ['an address that is not allowed', 422, 'url_not_allowed', { url: 'http://pictures.example/red.png' }],
      ['a list', 400, 'bad_request', [1]],
      ['nothing but null', 400, 'bad_request', null],
    ])('refuses JSON with %s', async (_name, status, code, body) => {
      expect(await problemOf(await fixture.sendJson('/predict', body))).toEqual({ status, code });
    });

    it.each([
      ['/missing.png', 422, 'url_unreachable'],
      ['/text.png', 415, 'unsupported_type'],
    ])('reports what is wrong with the address %s', async (path, status, code) => {
      expect(
        await problemOf(await fixture.sendJson('/predict', { url: `http://${fixture.imagesHost}${path}` })),
      ).toEqual({
        status,
        code,
      });
    });

    it('refuses an empty body, an unsupported type, and a body that is too large', async () => {
      const type = { 'content-type': 'image/jpeg' };
      expect(await problemOf(await fixture.send('/predict', '', type))).toEqual({ status: 400, code: 'no_file' });
      expect(
        await problemOf(await fixture.send('/predict', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' })),
      ).toEqual({
        status: 415,
        code: 'unsupported_type',
      });
      const large = new Uint8Array(fixture.served.config.MAX_UPLOAD_BYTES + 1);
      expect(await problemOf(await fixture.send('/predict', large, type))).toEqual({ status: 413, code: 'too_large' });
    });

    it('computes no prediction that its client would not wait for', async () => {
      const png = { 'content-type': 'image/png' };
      for (const wrong of ['0', '-1', '1.5', 'soon', '9999999', '']) {
        const response = await fixture.send('/predict', new Uint8Array(red), { ...png, 'x-request-timeout-ms': wrong });
        expect(await problemOf(response)).toEqual({ status: 400, code: 'bad_request' });
      }
      const patient = await fixture.send('/predict', new Uint8Array(red), { ...png, 'x-request-timeout-ms': '60000' });
      expect(patient.status).toBe(200);
    });
  });

  describe('images that are sent again', () => {
    it('are answered from the cache, each with a separate prediction id', async () => {
      const image = await redImage(300, 200);
      const before = await fixture.metric('mlops_prediction_cache_total{result="hit"}');
      const total = `predictions_total{model_version="${fixture.version.version}",predicted_class="dandelion"}`;
      const totalBefore = await fixture.metric(total);
      const answers = [];
      for (let time = 0; time < 3; time++) {
        const response = await fixture.send('/predict', formWith('file', image));
        answers.push(predictionSchema.parse(await response.json()));
      }
      expect(new Set(answers.map((answer) => answer.prediction_id)).size).toBe(3);
      expect(new Set(answers.map(({ confidence }) => confidence)).size).toBe(1);
      expect(await fixture.metric('mlops_prediction_cache_total{result="hit"}')).toBe(before + 2);
      expect(await fixture.metric(total)).toBe(totalBefore + 3);
      await fixture.served.api.predictions.predictionLog.flush();
      for (const { prediction_id: id } of answers) {
        expect((await fetch(`${fixture.served.url}/api/v1/predictions/${id}`)).status).toBe(200);
      }
    });

    it('are predicted again by another model', async () => {
      const other = await fixture.served.registerTiny({ bias: -3 });
      const image = new Uint8Array(await redImage(120, 120));
      const ask = async (): Promise<number> =>
        predictionSchema.parse(await (await fixture.send('/predict', image, { 'content-type': 'image/png' })).json())
          .probabilities['dandelion'] ?? 0;
      const first = await ask();
      await fixture.served.promote(other);
      await serves(fixture.served, other);
      const second = await ask();
      fixture.version = await fixture.served.registerTiny();
      await fixture.served.promote(fixture.version);
      await serves(fixture.served, fixture.version);
      expect(second).toBeLessThan(first);
      expect(await ask()).toBe(first);
    });
  });

  describe('POST /predict/batch', () => {
    const form = (files: readonly (readonly [Uint8Array, string])[], field = 'files'): FormData => {
      const all = new FormData();
      for (const [bytes, name] of files) all.append(field, new Blob([new Uint8Array(bytes)]), name);
      return all;
    };

    it('answers every image of a form in order, and reports the invalid ones', async () => {
      const files = [
        [red, 'first.png'],
        [Buffer.from('I am no picture. '.repeat(40)), 'text.png'],
        [new Uint8Array(), 'empty.png'],
        [await redImage(64, 32), 'last.png'],
      ] as const;
      const before = await fixture.metric('prediction_errors_total{reason="unsupported_type"}');
      const response = await fixture.send('/predict/batch', form(files));
      const { items, ...rest } = batchAnswerSchema.parse(await response.json());
      expect(response.status).toBe(200);
      expect(rest).toMatchObject({ succeeded: 2, failed: 2, model_version: String(fixture.version.version) });
      expect(items).toMatchObject([
        { index: 0, filename: 'first.png', prediction: 'dandelion' },
        { index: 1, filename: 'text.png', problem: { status: 415, code: 'unsupported_type' } },
        { index: 2, filename: 'empty.png', problem: { status: 400, code: 'no_file' } },
        { index: 3, filename: 'last.png', prediction: 'dandelion' },
      ]);
      expect(await fixture.metric('prediction_errors_total{reason="unsupported_type"}')).toBe(before + 1);
    });

    it('takes images in JSON, as base64 and by their URLs', async () => {
      const images = [
        { image: red.toString('base64') },
        { url: `http://${fixture.imagesHost}/red.png` },
        { url: 'http://pictures.example/red.png' },
        { picture: 1 },
        { url: `http://${fixture.imagesHost}/missing.png` },
      ];
      const { items } = batchAnswerSchema.parse(await (await fixture.sendJson('/predict/batch', { images })).json());
      const shown = items.map((item) => ('problem' in item ? item.problem.code : item.prediction));
      expect(shown).toEqual(['dandelion', 'dandelion', 'url_not_allowed', 'bad_request', 'url_unreachable']);
      expect(items[3]).toMatchObject({ problem: { errors: [{ pointer: '#/images/3' }, {}] } });
    });

    it('answers up to the maximum number of images, and refuses more immediately', async () => {
      const many = (count: number): FormData =>
        form(Array.from({ length: count }, (_, index) => [red, `${index}.png`] as const));
      const { items, succeeded } = batchAnswerSchema.parse(
        await (await fixture.send('/predict/batch', many(100))).json(),
      );
      expect(succeeded).toBe(100);
      expect(items.map(({ index }) => index)).toEqual(Array.from({ length: 100 }, (_, index) => index));
      expect(await problemOf(await fixture.send('/predict/batch', many(101)))).toEqual({
        status: 413,
        code: 'too_large',
      });
      expect(await problemOf(await fixture.send('/predict/batch', many(5_000)))).toEqual({
        status: 413,
        code: 'too_large',
      });
      const images = Array.from({ length: 101 }, () => ({ image: 'AAAA' }));
      expect(await problemOf(await fixture.sendJson('/predict/batch', { images }))).toEqual({
        status: 413,
        code: 'too_large',
      });
    });

    it.each([
      ['a form without files', (): Promise<Response> => fixture.send('/predict/batch', form([])), 400, 'no_file'],
      [
        'another field',
        (): Promise<Response> => fixture.send('/predict/batch', form([[red, 'a.png']], 'file')),
        400,
        'bad_request',
      ],
      ['no images', (): Promise<Response> => fixture.sendJson('/predict/batch', { images: [] }), 400, 'bad_request'],
      [
        'neither images nor a source',
        (): Promise<Response> => fixture.sendJson('/predict/batch', {}),
        400,
        'bad_request',
      ],
      [
        'an unknown source',
        (): Promise<Response> => fixture.sendJson('/predict/batch', { source: { kind: 'moon' } }),
        400,
        'bad_request',
      ],
      ['text', (): Promise<Response> => fixture.send('/predict/batch', 'hello'), 415, 'unsupported_type'],
      [
        'a million empty objects',
        (): Promise<Response> => fixture.sendJson('/predict/batch', { images: Array(100_000).fill({}) }),
        400,
        'bad_request',
      ],
    ])('refuses %s', async (_name, ask, status, code) => {
      expect(await problemOf(await ask())).toEqual({ status, code });
    });
  });
});
