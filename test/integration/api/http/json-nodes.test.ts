import { gzipSync } from 'node:zlib';
import { createApp } from '../../../../api/app.js';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import { createRoutes } from '../../../../api/routes.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';
import { fakeEngine, servedOf } from '../../../support/fake-model.js';
import { postRaw } from '../../../support/raw-request.js';

const served = servedOf(fakeEngine());
const dependencies = emptyDependencies({ host: { current: () => served, retirement: () => null } });
const { routes } = createRoutes(dependencies);
const json = { 'content-type': 'application/json' };

/** Every route that parses JSON, with the size that it accepts; values stand for parameters. */
const parsing = routes
  .filter(({ body: { kind, documentedContents } }) =>
    kind === 'raw' ? documentedContents?.['application/json'] !== undefined : kind.includes('json'),
  )
  .map(({ method, path, body }) => ({
    method,
    path: path
      .replaceAll(/\{model_name\}/g, served.version.modelName)
      .replaceAll(/\{(?:version|model_version)\}/g, String(served.version.version))
      .replaceAll(/\{\w+\}/g, '1'),
    maxBytes: body.kind === 'form_or_json' ? 100_000 : body.limit.maxBytes,
  }));

describe('JSON of very many small nodes', () => {
  let listening: Listening;
  let url: string;
  beforeAll(async () => {
    listening = await listen(createApp(dependencies), '127.0.0.1', 0);
    url = `http://127.0.0.1:${listening.port}`;
  });
  afterAll(() => listening.stop(1_000));

  it('is known to be parsed by some routes', () => {
    expect(parsing.length).toBeGreaterThan(20);
    expect(parsing.map(({ path }) => path)).toEqual(expect.arrayContaining(['/invocations', '/feedback/batch']));
  });

  it.each(parsing)('is refused by $method $path before it is parsed', async ({ method, path, maxBytes }) => {
    const lists = Math.floor(Math.min(maxBytes, 3_000_000) / 3) - 10;
    const body = `{"inputs":[${'[],'.repeat(lists)}0]}`;
    const response = await fetch(url + path, { method: method.toUpperCase(), headers: json, body });
    const { detail, status } = problemSchema.parse(await response.json());
    // A body of 10 kB cannot hold many.
    const expected = maxBytes > 20_000 ? /more than \d+ lists and objects/ : /./;
    expect([status, expect.stringMatching(expected)]).toEqual([400, detail]);
  });

  it.each(['/invocations', `/v2/models/${served.version.modelName}/infer`])(
    'is refused by %s when a few kilobytes of gzip unfold to it',
    async (path) => {
      const sent = gzipSync(`{"inputs":[${'[],'.repeat(5_000_000)}[]]}`);
      const answer = await postRaw(url + path, { ...json, 'content-encoding': 'gzip' }, [sent]);
      expect(sent.length).toBeLessThan(30_000);
      expect(answer.status).toBe(400);
      expect(answer.body).toMatch(/more than \d+ lists and objects/);
    },
  );

  it('is refused however deep it is', async () => {
    const body = '['.repeat(1_400_000) + ']'.repeat(1_400_000);
    const answer = await postRaw(`${url}/feedback/batch`, json, [body]);
    expect([answer.status, answer.body]).toEqual([400, expect.stringMatching(/nested more than \d+ deep/)]);
  });
});
