import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import sharp from 'sharp';
import { z } from 'zod';
import { problemSchema } from '../../../contracts/http/problem.js';
import { tf } from '../../../model/tensorflow.js';
import { createApiClient } from '../../support/api-client.js';
import { startImportFixture, type ImportFixture } from '../../support/import-fixture.js';
import { formWith, serves } from '../../support/served-api.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { redness } from '../../support/tiny-graph.js';
import { saveLayers } from '../../support/uploaded-models.js';

const modelName = 'dandelion_grass_classifier';
const folder = temporaryFolder();
let fixture: ImportFixture;
let image: Buffer;
/** Both networks answer this for `image`: the sigmoid of a tenth of what red exceeds green. */
const score = 1 / (1 + Math.exp(-1));

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  fixture = await startImportFixture(folder);
  const background = { r: 130, g: 120, b: 40 };
  image = await sharp({ create: { width: 224, height: 224, channels: 3, background } })
    .png()
    .toBuffer();
}, 60_000);
afterAll(() => fixture.stop());

/** The same network as a TF.js layers model. */
async function layersModel(): Promise<Record<string, Uint8Array>> {
  const model = tf.sequential({
    layers: [
      tf.layers.rescaling({ inputShape: [224, 224, 3], scale: 1 / 255 }),
      tf.layers.globalAveragePooling2d({}),
      tf.layers.dense({ units: 1, activation: 'sigmoid' }),
    ],
  });
  const weights = [tf.tensor2d([[25.5], [-25.5], [0]]), tf.tensor1d([0])];
  model.setWeights(weights);
  await mkdir(join(folder, 'layers'));
  const files = await saveLayers(model, join(folder, 'layers'));
  tf.dispose(weights);
  model.dispose();
  const sent: Record<string, Uint8Array> = {};
  for (const { name, path } of files) sent[name] = await readFile(path);
  return sent;
}

const byLabel = z.object({ probabilities: z.record(z.string(), z.number()) });
const v2Answer = z.object({ outputs: z.tuple([z.object({ data: z.array(z.number()) })], z.unknown()) });
const rows = z.object({ predictions: z.tuple([z.array(z.number())]) });
const inOrder = ({ green = -1, red = -1 }: Record<string, number>): number[] => [green, red];

/** The probabilities of green and red by every protocol. */
async function everyAnswer(): Promise<Record<string, number[]>> {
  const { url } = fixture.served;
  const send = async (path: string, body: unknown): Promise<unknown> => {
    const isForm = body instanceof FormData;
    const response = await fetch(url + path, {
      method: 'POST',
      body: isForm ? body : JSON.stringify(body),
      ...(!isForm && { headers: { 'content-type': 'application/json' } }),
    });
    return response.json();
  };
  const b64 = image.toString('base64');
  const pixels = [...(await sharp(image).raw().toBuffer())];
  const v2 = (input: object): Promise<unknown> =>
    send(`/v2/models/${modelName}/infer`, { inputs: [{ name: 'image', ...input }] });
  const numbers = { shape: [1, 224, 224, 3], datatype: 'UINT8', data: pixels };
  return {
    form: inOrder(byLabel.parse(await send('/predict', formWith('file', image))).probabilities),
    json: inOrder(byLabel.parse(await send('/predict', { image: b64 })).probabilities),
    explain: inOrder(byLabel.parse(await send('/explain', formWith('file', image))).probabilities),
    invocations: rows.parse(await send('/invocations', { instances: [{ b64 }] })).predictions[0],
    v2Bytes: v2Answer.parse(await v2({ shape: [1], datatype: 'BYTES', data: [b64] })).outputs[0].data,
    v2Pixels: v2Answer.parse(await v2(numbers)).outputs[0].data,
  };
}

describe('an imported model with a single sigmoid output', () => {
  it.each([
    [
      'ONNX',
      'red,green',
      () => Promise.resolve<Record<string, Uint8Array>>({ 'net.onnx': redness() }),
      [score, 1 - score],
    ],
    ['TF.js', 'green,red', layersModel, [1 - score, score]],
  ])(
    'of %s with the labels %s is served by every protocol with the probability of the second label',
    async (_format, labels, files, expected) => {
      const { result, error } = await fixture.imported({ model_name: modelName, labels }, await files());
      expect(error).toBeNull();
      const { version: number } = z.object({ version: z.string() }).parse(result);
      const version = await fixture.stores.registry.get(modelName, Number(number));
      await fixture.served.promote(version);
      await serves(fixture.served, version);
      const answers = await everyAnswer();
      for (const [protocol, answer] of Object.entries(answers)) {
        const isRight = answer.every((each, index) => Math.abs(each - (expected[index] ?? 0)) < 0.005);
        expect([protocol, isRight, answer]).toEqual([protocol, true, answer]);
      }
      const client = createApiClient(fixture.served.url);
      const path = `/api/v1/mlops/models/${modelName}/versions/${number}`;
      const calibration = await client.get(`${path}/calibration`);
      expect(calibration.status).toBe(404);
      expect(problemSchema.parse(calibration.body).detail).toMatch(/has no calibration: it was imported/);
      expect(await client.get('/model/info')).toMatchObject({ body: { labels: ['green', 'red'], variant: 'fp32' } });
      expect((await fetch(`${fixture.served.url}${path}/files/model.onnx`)).status).toBe(200);
    },
    60_000,
  );
});
