import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { v2InferResponseSchema, v2ModelSchema, v2OutputNames } from '../../../../contracts/inference/http-v2.js';
import { blocksOf, readPage } from '../../../support/documented-commands.js';
import { hasPython, pythonTools, type PythonTools } from '../../../support/python.js';
import { redImage, serves, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';

const run = promisify(execFile);
const describeWithPython = hasPython ? describe : describe.skip;

const refusal = z.object({ status: z.string(), message: z.string() });
const rows = z.array(z.array(z.number()));
const tritonSchema = z.object({
  live: z.boolean(),
  ready: z.boolean(),
  model_ready: z.array(z.boolean()),
  server: z.object({ name: z.string(), extensions: z.array(z.string()) }),
  model: v2ModelSchema,
  id: z.string(),
  version: z.string(),
  outputs: z.record(z.string(), z.array(z.unknown())),
  probabilities: z.record(z.string(), rows),
  files: z.array(z.string()),
  requested: z.array(z.string()),
  ranking: z.array(z.string()),
  refused: z.record(z.string(), refusal),
});

describeWithPython('clients of the Open Inference Protocol', () => {
  let postgres: TestService;
  let objectStore: TestService;
  let served: ServedApi;
  let python: PythonTools;
  const folder = temporaryFolder();
  let imageFile: string;
  let address: string;
  let modelUrl: string;
  const model = 'dandelion_grass_classifier';

  beforeAll(async () => {
    [postgres, objectStore, python] = await Promise.all([startPostgres(), startObjectStore(), pythonTools()]);
    served = await startApi({ ...postgres.environment, ...objectStore.environment });
    const version = await served.registerTiny();
    await served.promote(version);
    await serves(served, version);

    imageFile = join(folder, 'red.png');
    await writeFile(imageFile, await redImage());
    address = new URL(served.url).host;
    modelUrl = `${served.url}/v2/models/${model}`;
  }, 300_000);
  afterAll(async () => {
    await served.stop();
    await Promise.all([postgres.stop(), objectStore.stop()]);
  });

  describe("Triton's", () => {
    let got: z.infer<typeof tritonSchema>;
    beforeAll(async () => {
      got = tritonSchema.parse(await python.script('triton_client.py', [address, model, imageFile]));
    });

    it('finds server and model, alive and ready', () => {
      expect(got).toMatchObject({ live: true, ready: true, model_ready: [true, true, false] });
      expect(got.server).toMatchObject({ name: 'perennial', extensions: ['binary_tensor_data', 'classification'] });
      expect(got.model).toMatchObject({ name: model, versions: ['1'], platform: 'onnx_onnxv1' });
      expect(got.model.inputs[0]).toMatchObject({ name: 'image', datatype: 'UINT8', shape: [-1, 224, 224, 3] });
    });

    it('gets every output in binary, and its request id', () => {
      expect(got).toMatchObject({ id: 'from the test', version: '1' });
      expect(Object.keys(got.outputs)).toEqual([...v2OutputNames]);
      expect(got.outputs).toMatchObject({ label: ['dandelion', 'dandelion'], abstained: [false, false] });
      expect(new Set(got.outputs['prediction_id']).size).toBe(2);
    });

    it('gets the same for the same pixels in each datatype, in JSON and compressed', () => {
      const answers = Object.values(got.probabilities);
      expect(answers).toHaveLength(11);
      for (const each of answers) expect(each).toEqual(answers[0]);
      expect(answers[0]?.[0]?.[0]).toBeGreaterThan(0.9);
    });

    it('sends image files as BYTES', () => {
      expect(got.files).toEqual(['dandelion', 'dandelion', 'dandelion']);
    });

    it('gets only the requested outputs, and a ranking of the classes', () => {
      expect(got.requested).toEqual(['label', 'confidence']);
      expect(got.ranking).toHaveLength(4);
      expect(got.ranking[0]).toMatch(/^0\.\d{6}:0:dandelion$/);
    });

    it('is asked as the page on serving says', async () => {
      const [lines = ''] = blocksOf(readPage('docs/serving.md'), 'python');
      const script = `${lines.replace('localhost:3000', address)}\nprint(answer.as_numpy("label")[0].decode())`;
      const { stdout } = await run(python.program('python'), ['-c', script]);
      expect(stdout.trim()).toMatch(/^(dandelion|grass)$/);
    });

    it('reads the reason of a refusal', () => {
      expect(got.refused).toMatchObject({
        'unknown output': { status: '400' },
        'unknown model': { status: '404' },
        'too late': { status: '504' },
        NaN: { status: '422' },
      });
      expect(got.refused['unknown model']?.message).toContain('not served here; dandelion_grass_classifier is');
      expect(got.refused['NaN']?.message).toContain('element 0: expected a number from 0 to 255, got NaN');
    });
  });

  it("MLServer's codecs encode the request and decode the response", async () => {
    expect(await python.script('mlserver_codecs.py', [modelUrl, imageFile])).toEqual({
      id: 'mlserver',
      shape: [2, 2],
      labels: ['dandelion', 'dandelion'],
      labels_of_files: ['dandelion', 'dandelion'],
      inputs: ['image'],
    });
  });

  it("MLServer's client sends a file of requests", async () => {
    const [requests, answers] = [join(folder, 'requests.jsonl'), join(folder, 'answers.jsonl')];
    const data = (await readFile(imageFile)).toString('base64');
    const line = (id: string): string =>
      JSON.stringify({ id, inputs: [{ name: 'image', shape: [1], datatype: 'BYTES', data: [data] }] });
    await writeFile(requests, `${line('one')}\n${line('two')}\n`);
    await run(python.program('mlserver'), ['infer', '-u', address, '-m', model, '-i', requests, '-o', answers]);
    const lines = (await readFile(answers, 'utf8')).trim().split('\n');
    const parsed = lines.map((each) => v2InferResponseSchema.partial().parse(JSON.parse(each)));
    expect(parsed.map(({ id }) => id).sort()).toEqual(['one', 'two']);
    for (const { outputs } of parsed) {
      expect(outputs?.find(({ name }) => name === 'label')?.data).toEqual(['dandelion']);
    }
  });
});
