import { z } from 'zod';
import { aliasViewSchema, modelSummaryViewSchema } from '../../../../contracts/registry/http-models.js';
import { modelVersionViewSchema } from '../../../../contracts/registry/http-versions.js';
import { pageOf } from '../../../../contracts/http/page.js';
import { createAuditStore } from '../../../../stores/audit/audit.js';
import type { NewVersion } from '../../../../stores/registry/new-version.js';
import { createRequests, type RequestOptions } from '../../../support/requests.js';
import { newVersionOf } from '../../../support/registry-records.js';
import { startApi, type ServedApi } from '../../../support/served-api.js';
import { startPostgres, type TestService } from '../../../support/services.js';

const models = '/api/v1/mlops/models';

let postgres: TestService;
let served: ServedApi;
beforeAll(async () => {
  postgres = await startPostgres();
  served = await startApi(postgres.environment);
});
afterAll(async () => {
  await served.stop();
  await postgres.stop();
});

const { ask, answer, problem } = createRequests(() => served.url);

async function register(modelName: string, given: Partial<NewVersion> = {}): Promise<void> {
  await served.registry.register(newVersionOf(modelName, given));
}

async function auditOf(subject: string): Promise<unknown[]> {
  const { items } = await createAuditStore(served.api.database).list({ limit: 20, subject });
  return items.map(({ action, actor, via }) => [action, actor, via]).reverse();
}

describe('models and versions', () => {
  it('are listed with what is in Production', async () => {
    await register('listed');
    await register('listed');
    await served.promote(await served.registry.get('listed', 1));
    const { items } = await answer(pageOf(modelSummaryViewSchema), `${models}?limit=200`);
    expect(items.find(({ name }) => name === 'listed')).toMatchObject({
      versions: 2,
      latest_version: '2',
      production_version: '1',
    });
    const first = await answer(pageOf(modelSummaryViewSchema), `${models}?limit=1`);
    expect(first.items).toHaveLength(1);
  });

  it('are found by number, by alias, by stage and by tag', async () => {
    await register('found', { tags: { season: 'spring' }, description: 'from the meadow' });
    await register('found');
    const versions = `${models}/found/versions`;
    expect(await answer(modelVersionViewSchema, `${versions}/1`)).toMatchObject({
      version: '1',
      semantic_version: '1.0.0',
      description: 'from the meadow',
      tags: { season: 'spring' },
      origin: 'trained',
    });
    expect((await answer(modelVersionViewSchema, `${versions}/@latest`)).version).toBe('2');
    const list = async (query: string): Promise<string[]> =>
      (await answer(pageOf(modelVersionViewSchema), `${versions}?${query}`)).items.map(({ version }) => version);
    expect(await list('tag=season:spring')).toEqual(['1']);
    expect(await list('tag=season')).toEqual(['1']);
    expect(await list('tag=season:winter')).toEqual([]);
    expect(await list('stage=Staging')).toEqual(['2', '1']);
    expect(await list('stage=Archived')).toEqual([]);
  });

  it.each([
    ['GET', `${models}/nobody/versions`],
    ['GET', `${models}/nobody/versions/1`],
    ['GET', `${models}/nobody/versions/@latest`],
    ['GET', `${models}/nobody/aliases`],
    ['GET', `${models}/nobody/history`],
    ['GET', `${models}/nobody/history?at=2030-01-01T00:00:00Z`],
    ['GET', `${models}/nobody/compare?versions=1,2`],
    ['GET', `${models}/nobody/versions/1/model-card`],
    ['DELETE', `${models}/nobody/versions/1`],
    ['DELETE', `${models}/nobody/aliases/champion`],
  ])('that do not exist are 404: %s %s', async (method, path) => {
    expect(await problem(path, { method })).toMatchObject({ status: 404, code: 'not_found' });
  });
});

describe('editing a version', () => {
  it('by two people from the same revision succeeds once; the other gets 412', async () => {
    await register('edited');
    const path = `${models}/edited/versions/1`;
    const ifMatch = (await ask(path)).headers.get('etag') ?? '';
    const edits = await Promise.all(
      ['mine', 'yours'].map((description) => ask(path, { method: 'PATCH', body: { description }, ifMatch })),
    );
    expect(edits.map(({ status }) => status).sort()).toEqual([200, 412]);
    const winner = edits.find(({ status }) => status === 200);
    const again = { method: 'PATCH', body: { tags: { a: 'b' } }, ifMatch: winner?.headers.get('etag') ?? '' };
    expect((await answer(modelVersionViewSchema, path, again)).tags).toEqual({ a: 'b' });
    expect(await auditOf('models/edited/versions/1')).toEqual([
      ['version.register', 'trainModel', 'workflow'],
      ['version.edit', 'ada', 'rest'],
      ['version.edit', 'ada', 'rest'],
    ]);
  });

  it('takes a semantic version that is free, and no other', async () => {
    await register('numbered');
    await register('numbered');
    const edit = (semantic_version: string): RequestOptions => ({ method: 'PATCH', body: { semantic_version } });
    const path = `${models}/numbered/versions/2`;
    expect((await answer(modelVersionViewSchema, path, edit('4.0.0'))).semantic_version).toBe('4.0.0');
    expect(await problem(path, edit('1.0.0'))).toMatchObject({ status: 409, code: 'conflict' });
    expect(await problem(path, edit('v4'))).toMatchObject({ status: 400 });
    expect(await problem(path, edit('01.0.0'))).toMatchObject({ status: 400 });
  });

  it.each([
    ['nothing', {}],
    ['another field', { stage: 'Production' }],
    ['a tag that is not text', { tags: { a: 1 } }],
    ['a tag with a strange key', { tags: { 'a b': 'c' } }],
    ['a NUL character in a tag', { tags: { a: '\u0000' } }],
    ['a NUL character in the description', { description: 'a\u0000' }],
  ])('with %s is 400', async (_what, body) => {
    await served.registry.register(newVersionOf('strict', { runId: 'strict-run' }));
    expect(await problem(`${models}/strict/versions/1`, { method: 'PATCH', body })).toMatchObject({ status: 400 });
  });

  it('refuses an If-Match that is not the ETag of a version', async () => {
    await register('matched');
    const edit = { method: 'PATCH', body: { description: 'x' } };
    const path = `${models}/matched/versions/1`;
    for (const ifMatch of ['W/"1.1"', '"7"', '"2.1"']) {
      expect(await problem(path, { ...edit, ifMatch })).toMatchObject({ status: 412, code: 'precondition_failed' });
    }
    expect((await answer(modelVersionViewSchema, path, { ...edit, ifMatch: '"9.9", "1.1"' })).description).toBe('x');
    expect((await ask(path, { ...edit, ifMatch: '*' })).status).toBe(200);
  });
});

describe('the stage of a version', () => {
  const move = (stage: string): RequestOptions => ({ method: 'POST', body: { stage, reason: 'because' } });

  it('moves to Archived and back to Staging', async () => {
    await register('staged');
    const path = `${models}/staged/versions/1/stage`;
    expect((await answer(modelVersionViewSchema, path, move('Archived'))).stage).toBe('Archived');
    expect((await answer(modelVersionViewSchema, path, move('Staging'))).stage).toBe('Staging');
    expect(await auditOf('models/staged/versions/1')).toHaveLength(3);
  });

  it('cannot be set to or from Production', async () => {
    await register('guarded');
    const path = `${models}/guarded/versions/1/stage`;
    const refused = await problem(path, move('Production'));
    expect(refused).toMatchObject({ status: 400, code: 'bad_request' });
    expect(refused.detail).toContain('/models/promote');
    await served.promote(await served.registry.get('guarded', 1));
    const stuck = await problem(path, move('Archived'));
    expect(stuck).toMatchObject({ status: 409, code: 'conflict' });
    expect(stuck.detail).toContain('/models/guarded/rollback');
    expect(await problem(path, { method: 'POST', body: { stage: 'Archived' } })).toMatchObject({ status: 400 });
  });
});

describe('aliases', () => {
  it('are set, listed, followed and removed', async () => {
    await register('named');
    await register('named');
    const path = `${models}/named/aliases/champion`;
    const put = (version: unknown): RequestOptions => ({ method: 'PUT', body: { version } });
    expect(await answer(aliasViewSchema, path, put('1'))).toMatchObject({ alias: 'champion', version: '1' });
    expect(await answer(aliasViewSchema, path, put(2))).toMatchObject({ version: '2' });
    const { items } = await answer(z.object({ items: z.array(aliasViewSchema) }), `${models}/named/aliases`);
    expect(items.map(({ alias, version }) => [alias, version])).toEqual([
      ['champion', '2'],
      ['latest', '2'],
    ]);
    expect((await answer(modelVersionViewSchema, `${models}/named/versions/@champion`)).version).toBe('2');
    await answer(aliasViewSchema, path, { method: 'DELETE' });
    expect(await problem(`${models}/named/versions/@champion`)).toMatchObject({ status: 404 });
    expect(await problem(path, put(3))).toMatchObject({ status: 404 });
    expect(await problem(path, put('one'))).toMatchObject({ status: 400 });
  });

  it.each(['production', 'latest', 'Champion', '1st'])('cannot be called %s', async (alias) => {
    const asked = { method: 'PUT', body: { version: '1' } };
    expect(await problem(`${models}/named/aliases/${alias}`, asked)).toMatchObject({ status: 400 });
  });
});
