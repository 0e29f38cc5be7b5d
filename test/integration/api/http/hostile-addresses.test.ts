import { z } from 'zod';
import { answersIn, speakRaw } from '../../../support/raw-request.js';
import { startApi, type ServedApi } from '../../../support/served-api.js';
import { startPostgres, type TestService } from '../../../support/services.js';

const documentSchema = z.object({
  paths: z.record(
    z.string(),
    z.record(z.string(), z.object({ parameters: z.array(z.object({ name: z.string(), in: z.string() })).optional() })),
  ),
});

const hostile = {
  traversal: '..%2f..%2f..%2fetc%2fpasswd',
  'a zero byte': '%00',
  'a zero byte within': 'a%00b',
  'a lone surrogate': '%ed%a0%80',
  'a malformed sequence': '%zz',
  length: 'x'.repeat(9_000),
  'a huge number': '9'.repeat(400),
  SQL: "'%3b%20DROP%20TABLE%20models%3b--",
};

/** Every path and query parameter of the API with hostile values, on a real database. */
describe('a hostile address', () => {
  let postgres: TestService;
  let served: ServedApi;
  let addresses: { path: string; query: string[] }[];
  beforeAll(async () => {
    postgres = await startPostgres();
    served = await startApi(postgres.environment);
    const { paths } = documentSchema.parse(await (await fetch(`${served.url}/openapi.json`)).json());
    addresses = Object.entries(paths).flatMap(([path, { get }]) =>
      get ? [{ path, query: (get.parameters ?? []).flatMap((each) => (each.in === 'query' ? [each.name] : [])) }] : [],
    );
  });
  afterAll(async () => {
    await served.stop();
    await postgres.stop();
  });

  it.each(Object.entries(hostile))('with %s is refused, or finds nothing', async (_name, value) => {
    const inPath = addresses
      .filter(({ path }) => path.includes('{'))
      .map(({ path }) => path.replaceAll(/\{\w+\}/g, value));
    const inQuery = addresses.flatMap(({ path, query }) =>
      query.map((name) => `${path.replaceAll(/\{\w+\}/g, '1')}?${name}=${value}`),
    );
    expect(inPath.length + inQuery.length).toBeGreaterThan(60);
    const faults: string[] = [];
    for (const address of [...inPath, ...inQuery]) {
      const text = `GET ${address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
      const [answer] = answersIn(await speakRaw(Number(new URL(served.url).port), text));
      const { status = 0, body = '' } = answer ?? {};
      // Services that this test does not start may be reported as unavailable.
      const isFine = (status >= 200 && status < 500) || (status === 503 && /no_model|_unavailable/.test(body));
      if (!isFine) faults.push(`${status} ${address.slice(0, 200)} ${body.slice(0, 200)}`);
    }
    expect(faults).toEqual([]);
  });
});
