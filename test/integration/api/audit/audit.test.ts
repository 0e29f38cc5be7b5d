import { z } from 'zod';
import { createRoutes } from '../../../../api/routes.js';
import { auditRecordViewSchema } from '../../../../contracts/audit/audit.js';
import { pageOf } from '../../../../contracts/http/page.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';
import { newVersionOf } from '../../../support/registry-records.js';
import { formWith, problemOf, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, startTemporal, type TestService } from '../../../support/services.js';

type Entry = z.output<typeof auditRecordViewSchema>;

/** Non-GET routes that change nothing. */
const changeNothing = ['checkRetraining', 'explain', 'inferV2', 'inferV2Version', 'invoke', 'predict'];

/** Routes whose audit entries other tests check: they need a served model, workers or schedules. */
const testedElsewhere = [
  'detachDatasetSource',
  'editDatasetImage',
  'removeDatasetImage',
  'retireModel',
  'registerModel',
  'promoteModelVersion',
  'validateModelVersion',
  'approvePipeline',
  'rejectPipeline',
  'giveFeedback',
  'giveFeedbackBatch',
  'decideLabel',
  'requestErasure',
  'deleteDatasetVersion',
  'editRun',
  'deleteRun',
  'startTuning',
  'triggerRetraining',
  'startRetention',
  'startBatchPrediction',
  'predictBatch',
  'uploadBatch',
  'cancelBatchPrediction',
  'scheduleRetraining',
  'pauseSchedule',
  'resumeSchedule',
  'triggerSchedule',
  'changeSchedule',
  'backfillSchedule',
];

const { routes } = createRoutes(emptyDependencies());
const changing = routes.filter(({ method }) => method !== 'get');
const actionOf = (operationId: string): string | null | undefined =>
  routes.find((route) => route.operationId === operationId)?.audit;

describe('the table of routes', () => {
  it('states for every non-GET route which change it makes, or that it makes none', () => {
    const silent = changing.filter(({ audit }) => audit === undefined).map(({ operationId }) => operationId);
    expect(silent).toEqual([]);
    const without = changing.filter(({ audit }) => audit === null).map(({ operationId }) => operationId);
    expect(without.sort()).toEqual([...changeNothing].sort());
    for (const { audit } of changing) expect(audit ?? 'noun.verb').toMatch(/^[a-z_]+\.[a-z_]+$/);
  });
});

describe('changes over HTTP', () => {
  let services: { postgres: TestService; objects: TestService; temporal: TestService };
  let served: ServedApi;
  let requests = 0;
  const driven = new Set<string>();

  beforeAll(async () => {
    const [postgres, objects, temporal] = await Promise.all([startPostgres(), startObjectStore(), startTemporal()]);
    services = { postgres, objects, temporal };
    served = await startApi({ ...postgres.environment, ...objects.environment, ...temporal.environment });
    // A row that is inserted directly, without the API, is not an audited change.
    await served.api.database.query(`INSERT INTO notification_channels VALUES ('slack', '{%}', 0)`);
  });
  afterAll(async () => {
    await served.stop();
    await Promise.all(Object.values(services).map((service) => service.stop()));
  });

  const list = async (query: string): Promise<Entry[]> => {
    const response = await fetch(`${served.url}/api/v1/audit?${query}`);
    expect(response.status).toBe(200);
    return pageOf(auditRecordViewSchema).parse(await response.json()).items;
  };
  const count = async (): Promise<number> => (await served.api.database.query('SELECT FROM audit_log')).length;

  /** Requests a change as the actor `ada`; returns its one audit entry and the response body. */
  const change = async (
    operationId: string,
    path: string,
    body?: object,
  ): Promise<{ entry: Entry; answer: unknown }> => {
    const before = await count();
    const requestId = `audit-test-${(requests += 1)}`;
    const method = routes.find((route) => route.operationId === operationId)?.method.toUpperCase();
    const isForm = body instanceof FormData;
    const response = await fetch(served.url + path, {
      ...(method !== undefined && { method }),
      headers: { 'X-Actor': 'ada', 'X-Request-Id': requestId, ...(!isForm && { 'Content-Type': 'application/json' }) },
      ...(body && { body: isForm ? body : JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    expect({ status: response.status < 300, answer }).toMatchObject({ status: true });
    expect(await count()).toBe(before + 1);
    const [entry] = await list(`request_id=${requestId}`);
    if (!entry) throw new Error(`${operationId} left no entry of its request`);
    expect(entry).toMatchObject({ actor: 'ada', via: 'rest', request_id: requestId, action: actionOf(operationId) });
    expect(entry.from).toMatch(/^(::ffff:)?127\.0\.0\.1$/);
    expect(Math.abs(Date.now() - Date.parse(entry.at))).toBeLessThan(60_000);
    driven.add(operationId);
    return { entry, answer };
  };
  const version = (number: number): string => `/api/v1/mlops/models/roses/versions/${number}`;

  it('to versions and aliases leave one entry each, with the state before and after', async () => {
    for (const sent of [1, 2, 3]) {
      expect((await served.registry.register(newVersionOf('roses'))).version).toBe(sent);
    }
    const registered = await list('action=version.register&subject=models/roses');
    expect(registered.map(({ via, actor, subject }) => ({ via, actor, subject }))).toEqual(
      [3, 2, 1].map((number) => ({ via: 'workflow', actor: 'trainModel', subject: `models/roses/versions/${number}` })),
    );
    const alias = await change('setModelAlias', '/api/v1/mlops/models/roses/aliases/best', { version: 1 });
    expect(alias.entry.subject).toMatch(/^models\/roses\//);
    await change('deleteModelAlias', '/api/v1/mlops/models/roses/aliases/best');
    const edited = await change('editModelVersion', version(1), { description: 'The first one.' });
    expect(edited.entry).toMatchObject({
      subject: 'models/roses/versions/1',
      after: { description: 'The first one.' },
    });
    const staged = await change('changeModelVersionStage', `${version(3)}/stage`, { stage: 'Archived', reason: 'old' });
    expect(JSON.stringify([staged.entry.before, staged.entry.after])).toMatch(/Staging.*Archived/);
    await change('deleteModelVersion', `${version(3)}?reason=old`);
  });

  it('of Production leave one entry each', async () => {
    for (const number of [1, 2]) await served.promote(await served.registry.get('roses', number));
    const { entry } = await change('rollBackModel', '/api/v1/mlops/models/roses/rollback', { reason: 'worse' });
    expect(entry).toMatchObject({ before: { production: 2 }, after: { production: 1, reason: 'worse' } });
    const history = await list('subject=models/roses/versions/2');
    expect(history.map(({ action }) => action)).toEqual(['model.roll_back', 'model.promote', 'version.register']);
  });

  it('of policies and experiments leave one entry each', async () => {
    const { entry } = await change('setModelPolicy', '/api/v1/mlops/models/roses/policy', { guard: { minutes: 7 } });
    expect(entry).toMatchObject({ before: { guard: { minutes: 5 } }, after: { guard: { minutes: 7 } } });
    await change('createExperiment', '/api/v1/experiments', { name: 'garden' });
    await change('editExperiment', '/api/v1/experiments/garden', { description: 'What grows.' });
  });

  it('that start and stop runs leave one entry each, and so does joining a run', async () => {
    const { entry, answer } = await change('startRetraining', '/api/v1/pipelines/retraining', { model_name: 'roses' });
    const { run_id: runId } = z.object({ run_id: z.string() }).parse(answer);
    expect(entry).toMatchObject({ subject: 'models/roses/retraining', after: { kind: 'manual' } });
    const before = await count();
    const joining = await fetch(`${served.url}/api/v1/pipelines/retraining`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ model_name: 'roses' }),
    });
    expect(await joining.json()).toMatchObject({ joined: true, run_id: runId });
    expect(await count()).toBe(before + 1);
    const cancelled = await change('cancelPipeline', `/api/v1/pipelines/${runId}/cancel`);
    expect(cancelled.entry).toMatchObject({ subject: `pipelines/${runId}`, before: { status: 'running' } });
    await change('startIngestion', '/api/v1/pipelines/ingestion', { dataset: 'garden' });
    const labels = await change('ingestLabels', '/api/v1/labels/ingest', { dataset: 'meadow', model: 'roses' });
    expect(labels.entry).toMatchObject({
      subject: `pipelines/${z.object({ run_id: z.string() }).parse(labels.answer).run_id}`,
      after: { dataset: 'meadow', source: { kind: 'labels', model: 'roses' } },
    });
    const form = formWith('files', new Uint8Array([1, 2, 3]));
    form.set('label', 'rose');
    const upload = await change('uploadImages', '/api/v1/datasets/garden/images', form);
    expect(upload.entry).toMatchObject({ subject: 'datasets/garden', after: { label: 'rose', files: 1, bytes: 3 } });
    const archive = await change(
      'uploadArchive',
      '/api/v1/datasets/garden/archives',
      formWith('files', new Uint8Array([1])),
    );
    expect(archive.entry).toMatchObject({ subject: 'datasets/garden', after: { label: null, files: 1, bytes: 1 } });
  });

  it('of notifications leave one entry each', async () => {
    const { answer } = await change('testNotification', '/api/v1/notifications/test', { channel: 'slack' });
    const { id } = z.object({ id: z.string() }).parse(answer);
    const { entry } = await change('resendNotification', `/api/v1/notifications/${id}/resend`, {});
    expect(entry).toMatchObject({ subject: `notifications/${id}`, before: { slack: 'waiting' } });
  });

  it('leave no entry when they are refused', async () => {
    const before = await count();
    const refused = await fetch(`${served.url}/api/v1/mlops/models/roses/versions/99/stage`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ stage: 'None', reason: 'no' }),
    });
    expect(await problemOf(refused)).toEqual({ status: 404, code: 'not_found' });
    expect(await count()).toBe(before);
  });

  it('were all made here or in other tests', () => {
    const expected = changing.filter(({ audit }) => typeof audit === 'string').map(({ operationId }) => operationId);
    expect([...driven, ...testedElsewhere].sort()).toEqual(expected.sort());
  });

  it('can be searched by who, what, how and when, page by page', async () => {
    const all = await list('limit=200');
    expect(all.length).toBeGreaterThan(10);
    expect(all.map(({ id }) => Number(id))).toEqual(all.map(({ id }) => Number(id)).sort((a, b) => b - a));
    const pages: string[] = [];
    let token: string | null = null;
    do {
      const response: Response = await fetch(
        `${served.url}/api/v1/audit?limit=4${token === null ? '' : `&page_token=${token}`}`,
      );
      const page = pageOf(auditRecordViewSchema).parse(await response.json());
      pages.push(...page.items.map(({ id }) => id));
      token = page.next_page_token;
    } while (token !== null);
    expect(pages).toEqual(all.map(({ id }) => id));
    const own = await list('actor=ada&via=rest&limit=200');
    expect(own).toEqual(all.filter(({ actor, via }) => actor === 'ada' && via === 'rest'));
    expect(await list('action=policy.set')).toHaveLength(1);
    const [newest, second] = all;
    const from = encodeURIComponent(second?.at ?? '');
    const to = encodeURIComponent(newest?.at ?? '');
    expect(
      (await list(`from=${from}&to=${to}`)).every(({ at }) => at >= (second?.at ?? '') && at < (newest?.at ?? '')),
    ).toBe(true);
    expect(await list('to=2001-01-01T00:00:00Z')).toEqual([]);
    // Offsets and years that Postgres does not read.
    expect(await list('from=3214-05-18T15:10:27-16:08')).toEqual([]);
    expect(await list('to=0000-01-01T00:00:00Z')).toEqual([]);
    expect(await list('subject=models/rose')).toEqual([]);
    expect(await problemOf(await fetch(`${served.url}/api/v1/audit?from=yesterday`))).toEqual({
      status: 400,
      code: 'bad_request',
    });
  });

  it('stay as they were written: Postgres refuses to change or remove them', async () => {
    const { database } = served.api;
    const before = await count();
    for (const statement of [
      `UPDATE audit_log SET actor = 'nobody'`,
      'DELETE FROM audit_log',
      'TRUNCATE audit_log',
      `UPDATE audit_log SET actor = 'nobody' WHERE false`,
    ]) {
      await expect(database.query(statement)).rejects.toThrow(/audit_log is append-only/);
    }
    expect(await count()).toBe(before);
  });
});
