import { readFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { z } from 'zod';
import { startTuningSchema } from '../../../contracts/experiments/http-tuning.js';
import { policyBodySchema } from '../../../contracts/promotion/http-policies.js';
import { reportVersionSchema } from '../../../contracts/registry/http-import.js';
import { blocksOf, readPages } from '../../support/documented-commands.js';

/** What the shell says about a script that it only parses. */
function syntaxErrorOf(script: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const shell = spawn('sh', ['-n'], { stdio: ['pipe', 'ignore', 'pipe'] });
    let said = '';
    shell.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    shell.on('error', reject);
    shell.on('close', () => {
      resolve(said);
    });
    shell.stdin.end(script);
  });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Names of a policy that a document mentions: `guard.minutes`, `promotion.min_recall`. */
function policyNamesOf(text: string): [part: string, field: string][] {
  const names = /`(approval|guard|promotion|retention|retraining|serving)\.([a-z0-9_]+)`/g;
  return [...text.matchAll(names)].map(([, part = '', field = '']) => [part, field]);
}

interface NamedRoute {
  method: string;
  path: string;
  query: string[];
}

/** Routes that a document mentions: `GET /api/v1/audit`, `GET, PATCH …/runs/{run_id}?name=`. */
function routesNamedIn(text: string): NamedRoute[] {
  const methods = '(?:GET|POST|PUT|PATCH|DELETE)';
  const mentions = text.matchAll(new RegExp(`\\b(${methods}(?:, ${methods})*)\\s+\`?(…?/[^\\s\`]+)`, 'g'));
  return [...mentions].flatMap(([, list = '', address = '']) => {
    const [path = '', query = ''] = address.replace(/[.,:;)]+$/, '').split('?');
    const names = query.split('&').flatMap((each) => (each === '' ? [] : [each.split('=')[0] ?? '']));
    return list.split(', ').map((method) => ({ method, path, query: names }));
  });
}

const operation = z.object({ parameters: z.array(z.object({ name: z.string(), in: z.string() })).default([]) });
const openApi = z.object({ paths: z.record(z.string(), z.record(z.string(), operation)) });

/** Every route; its pattern takes `{…}`, `<…>` and examples for a parameter, and … for the beginning of a path. */
async function readRoutes(): Promise<{ method: string; pattern: RegExp; query: string[] }[]> {
  const { paths } = openApi.parse(JSON.parse(await readFile('docs/openapi.json', 'utf8')));
  return Object.entries(paths).flatMap(([path, operations]) => {
    const segments = path
      .slice(1)
      .split('/')
      .map((segment) => (segment.startsWith('{') ? '[^/]+' : segment));
    const endings = segments.map((_, index) => segments.slice(index).join('/'));
    const pattern = new RegExp(`^(/${segments.join('/')}|…/(${endings.join('|')}))$`);
    return Object.entries(operations).map(([method, { parameters }]) => ({
      method: method.toUpperCase(),
      pattern,
      query: parameters.flatMap((each) => (each.in === 'query' ? [each.name] : [])),
    }));
  });
}

const policy: Record<string, Record<string, unknown>> = policyBodySchema.parse({});

describe('the documents', () => {
  it('hold commands that a shell can parse', async () => {
    const faults: string[] = [];
    for (const { name, text } of readPages()) {
      for (const block of [...blocksOf(text, 'sh'), ...blocksOf(text, 'bash')]) {
        const said = await syntaxErrorOf(block);
        if (said !== '') faults.push(`${name}: ${said}`);
      }
    }
    expect(faults).toEqual([]);
  });

  it('hold bodies that are JSON', () => {
    const bodies = readPages().flatMap(({ name, text }) =>
      [...blocksOf(text, 'sh'), ...blocksOf(text, 'bash')].flatMap((block) =>
        [...block.matchAll(/ -d '(\{[^']*\})'/g)].map(([, body = '']) => ({ name, body })),
      ),
    );
    expect(bodies.length).toBeGreaterThan(5);
    for (const { name, body } of bodies) {
      expect({ name, isJson: isJson(body) }).toEqual({ name, isJson: true });
    }
  });

  it('name fields of a policy that the API knows', () => {
    const unknown = readPages().flatMap(({ name, text }) =>
      policyNamesOf(text).flatMap(([part, field]) =>
        field in (policy[part] ?? {}) ? [] : [`${name}: ${part}.${field}`],
      ),
    );
    expect(unknown).toEqual([]);
  });

  it('name scripts of npm that exist', async () => {
    const { scripts } = z
      .object({ scripts: z.record(z.string(), z.string()) })
      .parse(JSON.parse(await readFile('package.json', 'utf8')));
    const named = readPages().flatMap(({ text }) =>
      [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name),
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  it('name routes and query parameters that the API has', async () => {
    const routes = await readRoutes();
    const named = readPages().flatMap(({ name, text }) => routesNamedIn(text).map((route) => ({ name, ...route })));
    expect(named.length).toBeGreaterThan(60);
    const unknown = named.filter(
      ({ method, path, query }) =>
        !routes.some(
          (route) =>
            route.method === method && route.pattern.test(path) && query.every((each) => route.query.includes(each)),
        ),
    );
    expect(unknown).toEqual([]);
  });

  it.each<[page: string, schema: z.ZodType, marker: string]>([
    ['docs/tuning.md', startTuningSchema, '"space"'],
    ['docs/promotion.md', policyBodySchema, '"promotion"'],
    ['docs/registry.md', reportVersionSchema, '"metrics"'],
  ])('show a body in %s that the API accepts', async (page, schema, marker) => {
    const text = await readFile(page, 'utf8');
    const inCommands = [...text.matchAll(/ -d '(\{[^']*\})'/g)].map(([, body = '']) => body);
    const bodies = [...blocksOf(text, 'json'), ...inCommands].filter((body) => body.includes(marker));
    expect(bodies.length).toBeGreaterThan(0);
    for (const body of bodies) expect(schema.safeParse(JSON.parse(body)).error).toBeUndefined();
  });
});
