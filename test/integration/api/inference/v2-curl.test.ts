import { execFile, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { z } from 'zod';
import {
  v2InferResponseSchema,
  v2ModelSchema,
  v2OutputNames,
  v2ProblemSchema,
  v2ServerSchema,
} from '../../../../contracts/inference/http-v2.js';
import { readPage } from '../../../support/documented-commands.js';
import { redImage, serves, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';

const run = promisify(execFile);

const hasCurl = spawnSync('curl', ['--version']).status === 0;
if (!hasCurl) console.warn('skipped: there is no curl; the commands of docs/serving.md are not tried');

const documented = /```sh\n(server=\S+\nmodel=[^]*?)```/;

/** The commands of the page by the first words of the remark above them, and their common start. */
function readCommands(): { beginning: string; commands: Map<string, string> } {
  const page = readPage('docs/serving.md');
  const [beginning = '', ...parts] = (documented.exec(page)?.[1] ?? '').split('\n\n');
  return { beginning, commands: new Map(parts.map((part) => [/^# ([^,:\n]*)/.exec(part)?.[1] ?? part, part])) };
}

(hasCurl ? describe : describe.skip)('curl, as the page on serving says', () => {
  let postgres: TestService;
  let objectStore: TestService;
  let served: ServedApi;
  const folder = temporaryFolder();
  const { beginning, commands } = readCommands();
  const tried = new Set<string>();

  beforeAll(async () => {
    [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
    served = await startApi({ ...postgres.environment, ...objectStore.environment });
    await writeFile(join(folder, 'photo.jpg'), await redImage(400, 300));
  });
  afterAll(async () => {
    await served.stop();
    await Promise.all([postgres.stop(), objectStore.stop()]);
  });

  const shell = async (script: string): Promise<string> => {
    const here = beginning.replace('http://localhost:3000', served.url);
    return (await run('sh', ['-euc', `${here}\n${script}`], { cwd: folder })).stdout;
  };
  /** Runs the commands below a remark of the page unchanged, and returns what they print. */
  const paste = (remark: string): Promise<string> => {
    const command = commands.get(remark);
    if (command === undefined) throw new Error(`docs/serving.md has no command under “${remark}”`);
    tried.add(remark);
    return shell(command);
  };
  const infer = async (remark: string): Promise<z.infer<typeof v2InferResponseSchema>> =>
    v2InferResponseSchema.parse(JSON.parse(await paste(remark)));

  it('sees a live server that is not ready before a model is served, and ready afterwards', async () => {
    expect(await paste('Alive')).toBe('200\n503\n503\n');
    const version = await served.registerTiny();
    await served.promote(version);
    await serves(served, version);
    expect(await paste('Alive')).toBe('200\n200\n200\n');
  });

  it('gets the served version, and the inputs and outputs of the model', async () => {
    const server = v2ServerSchema.parse(JSON.parse(await paste('What serves')));
    expect(server).toMatchObject({ name: 'perennial', extensions: ['binary_tensor_data', 'classification'] });
    const model = v2ModelSchema.parse(JSON.parse(await paste('What the model takes and gives')));
    expect(model).toMatchObject({ name: 'dandelion_grass_classifier', versions: ['1'] });
    expect(model.outputs.map(({ name }) => name)).toEqual([...v2OutputNames]);
  });

  it('sends an image file in JSON, and the same in binary', async () => {
    const { outputs } = await infer('An image file');
    expect(outputs.map(({ name }) => name)).toEqual(['label', 'confidence']);
    expect(outputs[0]).toEqual({ name: 'label', shape: [1], datatype: 'BYTES', data: ['dandelion'] });
    expect((await infer('The same file in binary')).outputs).toEqual(outputs.slice(0, 1));
  });

  it('gets the same for the same pixels in JSON, in binary, and when the answer is binary', async () => {
    const { outputs } = await infer('Pixels as numbers in JSON');
    expect(outputs).toMatchObject([{ name: 'probabilities', shape: [1, 2], datatype: 'FP32' }]);
    const [dandelion, grass] = outputs[0]?.data ?? [];
    expect(dandelion).toBeGreaterThan(0.9);
    expect((await infer('The same pixels in binary')).outputs).toEqual(outputs);

    const [head = '', numbers = ''] = (await paste('Nothing but pixels')).trim().split('\n');
    const answer = v2InferResponseSchema.parse(JSON.parse(head));
    expect(answer.outputs.map(({ name }) => name)).toEqual([...v2OutputNames]);
    const binary = numbers.trim().split(/\s+/).map(Number);
    expect(binary).toHaveLength(2);
    expect(binary[0]).toBeCloseTo(Number(dandelion), 5);
    expect(binary[1]).toBeCloseTo(Number(grass), 5);
  });

  it('sends a megabyte only after `100 Continue`, and sends bodies of unknown length', async () => {
    const send = '-s -w "%{http_code}" -o many.bin -H "Content-Type: application/octet-stream"';
    const pixelsOnly = '-H "Inference-Header-Content-Length: 0"';
    const many = 'for each in 1 2 3 4 5 6 7 8; do cat pixels.bin; done > many-pixels.bin';
    await paste('The same pixels in binary');
    const waiting = `${many}; curl -v ${send} ${pixelsOnly} -H "Expect: 100-continue" --data-binary @many-pixels.bin $model/infer 2>&1`;
    expect(await shell(waiting)).toMatch(/< HTTP\/1\.1 100 Continue[^]*200$/);
    expect(await shell(`curl ${send} ${pixelsOnly} -X POST -T - $model/infer < pixels.bin`)).toBe('200');
  });

  it('gets the reason of a refusal, and with --fail exits with an error code', async () => {
    await expect(shell('curl -sf $server/v2/models/unheard_of')).rejects.toMatchObject({ code: 22 });
    const refusal = async (what: string): Promise<{ status: number; error: string }> =>
      v2ProblemSchema.parse(JSON.parse(await shell(`curl -s ${what} $model/infer`)));
    const cutOff = await refusal(`-H 'Content-Type: application/json' -d '{"inputs":['`);
    expect(cutOff.status).toBe(400);
    expect(cutOff.error).toContain('JSON');
    // By default curl sends the content type of forms.
    const untyped = await refusal(`-d '{"inputs":[]}'`);
    expect(untyped.status).toBe(415);
    expect(untyped.error).toContain('Send application/json');
  });

  it('covers every command of the page', () => {
    expect([...tried].sort()).toEqual([...commands.keys()].sort());
  });
});
