import { createApp } from '../../../../api/app.js';
import { createRoutes } from '../../../../api/routes.js';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';

/** Pages, their assets, and metrics: browsers and scrapers add parameters of their own. */
const takesAny = /^\/(docs|ui|metrics)(\/|$)/;

describe('an unknown query parameter', () => {
  const { routes } = createRoutes(emptyDependencies());
  let listening: Listening;
  let server: string;
  beforeAll(async () => {
    listening = await listen(createApp(emptyDependencies()), '127.0.0.1', 0);
    server = `http://127.0.0.1:${listening.port}`;
  });
  afterAll(() => listening.stop(1_000));

  const named = routes.map((route) => ({ ...route, name: `${route.method.toUpperCase()} ${route.path}` }));
  const ask = ({ method, path }: { method: string; path: string }, query: string): Promise<Response> =>
    fetch(`${server}${path.replaceAll(/\{\w+\}/g, '1')}?${query}`, {
      method: method.toUpperCase(),
      redirect: 'manual',
    });

  it.each(named.filter(({ path }) => !takesAny.test(path)))('is refused by $name', async (route) => {
    const answer = await ask(route, 'surely_unknown=1');
    const problem = problemSchema.parse(await answer.json());
    expect(problem).toMatchObject({ status: 400, code: 'unknown_parameter' });
    expect(problem.detail).toContain('`surely_unknown` is not a query parameter of');
    expect(problem.errors?.map(({ pointer }) => pointer)).toEqual(['query/surely_unknown']);
    const known = Object.keys(route.query.shape);
    expect(problem.detail).toContain(known.length === 0 ? 'It takes none.' : `it takes ${known.join(', ')}.`);
  });

  it.each(named.filter(({ path }) => path === '/docs' || path.startsWith('/docs/')))(
    'does not matter for $name',
    async (route) => {
      expect((await ask(route, 'utm_source=mail')).status).not.toBe(400);
    },
  );

  it.each([
    ['/api/v1/labels/queue', 'strategi=balanced', 'strategy'],
    ['/api/v1/pipelines', 'pageToken=x', 'page_token'],
  ])('is answered with the nearest known one: %s?%s', async (path, query, nearest) => {
    const problem = problemSchema.parse(await (await ask({ method: 'get', path }, query)).json());
    expect(problem.detail).toContain(`The nearest is \`${nearest}\``);
  });
});
