import {
  backfillViewSchema,
  scheduleViewSchema,
  type ScheduleView,
} from '../../../contracts/retraining/http-schedules.js';
import { pipelineViewSchema } from '../../../contracts/pipelines/http-pipelines.js';
import { acceptedSchema } from '../../../contracts/workflows/accepted.js';
import { pageOf } from '../../../contracts/http/page.js';
import { createSchedules, type Schedules } from '../../../api/retraining/schedules/schedules.js';
import { createLogger } from '../../../platform/logging.js';
import { createAuditStore, type AuditRecord } from '../../../stores/audit/audit.js';
import { createAdvisoryLocks } from '../../../stores/postgres/advisory-lock.js';
import { poll } from '../../support/api-client.js';
import { createRequests } from '../../support/requests.js';
import { startAutomationFixture, type AutomationFixture } from '../../support/automation-fixture.js';

const day = 86_400_000;
const continuous = 'continuous_training-dandelion_grass_classifier';
const weekly = 'mlops_retraining_pipeline-dandelion_grass_classifier';

let fixture: AutomationFixture;
let schedules: Schedules;
beforeAll(async () => {
  fixture = await startAutomationFixture({ RETRAINING_HOURS: '1-5', SCHEDULE_TIME_ZONE: 'Europe/Berlin' });
  schedules = fixture.served.api.retraining.schedules;
  await schedules.ensure('dandelion_grass_classifier');
});
afterAll(() => fixture.stop());

const { answer, problem, ask } = createRequests(() => fixture.served.url);
const path = (id: string): string => `/api/v1/schedules/${id}`;
const get = (id: string): Promise<ScheduleView> => answer(scheduleViewSchema, path(id));
const post = (id: string, verb: string, body: object = {}): Promise<ScheduleView> =>
  answer(scheduleViewSchema, `${path(id)}/${verb}`, { method: 'POST', body });
const auditOf = async (id: string): Promise<AuditRecord[]> =>
  (await createAuditStore(fixture.served.api.database).list({ limit: 50, subject: `schedules/${id}` })).items;

describe('schedules', () => {
  it('are created paused, once, with a description', async () => {
    const list = pageOf(scheduleViewSchema);
    const { items } = await poll(
      () => answer(list, '/api/v1/schedules'),
      (page) => page.items.length === 3,
    );
    expect(items).toMatchObject([
      { id: continuous, paused: true, schedule: 'every 6 hours, up to 5 minutes later', catch_up_seconds: 3_600 },
      {
        id: weekly,
        paused: true,
        note: 'Created paused. Resume it to let it run.',
        schedule: 'every 7 days between 01:00 and 05:00, Europe/Berlin',
        catch_up_seconds: 86_400,
        setting: { interval_seconds: 604_800, hour_window: { from: 1, to: 5 }, time_zone: 'Europe/Berlin' },
      },
      { id: 'retention', paused: true, model_name: null, taken: 0, skipped_overlap: 0, missed_catch_up: 0 },
    ]);
    expect(items.map(({ next_runs }) => next_runs.length)).toEqual([10, 10, 10]);
    const hours = new Intl.DateTimeFormat('en', { timeZone: 'Europe/Berlin', hour: 'numeric', hourCycle: 'h23' });
    const begins = items[1]?.next_runs.map((time) => Number(hours.format(new Date(time)))) ?? [];
    expect(begins.filter((hour) => hour < 1 || hour >= 5)).toEqual([]);
    await schedules.ensure('dandelion_grass_classifier');
    expect(await auditOf(weekly)).toMatchObject([{ action: 'schedule.create', via: 'system', actor: 'perennial' }]);
  });

  it('keep manual changes when the API restarts', async () => {
    await post(continuous, 'resume');
    await answer(scheduleViewSchema, path(continuous), { method: 'PUT', body: { every_hours: 12 } });
    await schedules.ensure('dandelion_grass_classifier');
    const kept = await get(continuous);
    expect(kept).toMatchObject({ paused: false, schedule: 'every 12 hours, up to 5 minutes later' });
    await post(continuous, 'pause');
    await answer(scheduleViewSchema, path(continuous), { method: 'PUT', body: { every: { hours: 6 } } });
  });

  it('follow a changed configuration unless they were changed manually', async () => {
    const other = createSchedules({
      temporal: fixture.served.api.temporal,
      audit: createAuditStore(fixture.served.api.database),
      locks: createAdvisoryLocks(fixture.served.api.database),
      logger: createLogger('test', 'silent'),
      defaults: { timeZone: 'Asia/Tokyo', retrainingHours: { from: 2, to: 4 } },
      namespace: 'default',
    });
    await other.ensure('dandelion_grass_classifier');
    expect((await get(weekly)).schedule).toBe('every 7 days between 02:00 and 04:00, Asia/Tokyo');
    expect((await get(continuous)).setting?.time_zone).toBe('Europe/Berlin');
    await schedules.ensure('dandelion_grass_classifier');
    expect((await get(weekly)).schedule).toBe('every 7 days between 01:00 and 05:00, Europe/Berlin');
  });

  it('are paused and resumed with a reason, and the audit log shows their state before and after', async () => {
    expect(await post('retention', 'resume', { reason: 'we have space' })).toMatchObject({
      paused: false,
      note: 'we have space',
    });
    expect(await post('retention', 'pause')).toMatchObject({ paused: true, note: 'paused by ada' });
    expect(await auditOf('retention')).toMatchObject([
      {
        action: 'schedule.pause',
        actor: 'ada',
        before: { paused: false },
        after: { paused: true, note: 'paused by ada' },
      },
      { action: 'schedule.resume', before: { paused: true }, after: { paused: false, note: 'we have space' } },
      { action: 'schedule.create' },
    ]);
  });

  it('accept another interval, window, zone and jitter, and leave the rest unchanged', async () => {
    const put = (body: object): Promise<ScheduleView> =>
      answer(scheduleViewSchema, path(weekly), { method: 'PUT', body });
    expect((await put({ every_days: 3 })).schedule).toBe('every 3 days between 01:00 and 05:00, Europe/Berlin');
    expect((await put({ time_zone: 'america/new_york' })).schedule).toMatch(/America\/New_York$/);
    expect(await put({ hour_window: null, interval_seconds: 60, jitter_seconds: 0 })).toMatchObject({
      paused: true,
      schedule: 'every 1 minute',
    });
    const back = { every_days: 7, hour_window: { from: 2, to: 4 }, time_zone: 'UTC', jitter_seconds: null };
    expect((await put(back)).schedule).toBe('every 7 days between 02:00 and 04:00, UTC');
    expect((await auditOf(weekly))[0]).toMatchObject({
      action: 'schedule.update',
      actor: 'ada',
      before: { schedule: 'every 1 minute' },
      after: { schedule: 'every 7 days between 02:00 and 04:00, UTC' },
    });
  });

  it('keep all of several concurrent changes', async () => {
    const put = (body: object): Promise<Response> => ask(path(weekly), { method: 'PUT', body });
    for (let round = 1; round <= 4; round += 1) {
      await post(weekly, 'pause');
      const answers = await Promise.all([
        put({ every_days: round }),
        put({ hour_window: { from: round, to: round + 6 } }),
        ask(`${path(weekly)}/resume`, { method: 'POST', body: {} }),
        put({ time_zone: round % 2 === 0 ? 'UTC' : 'Asia/Tokyo' }),
        put({ jitter_seconds: round }),
      ]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
      expect(await get(weekly)).toMatchObject({
        paused: false,
        setting: {
          interval_seconds: round * 86_400,
          hour_window: { from: round, to: round + 6 },
          time_zone: round % 2 === 0 ? 'UTC' : 'Asia/Tokyo',
          jitter_seconds: round,
        },
      });
    }
    await post(weekly, 'pause');
  });

  it('accept every name of a time zone in the spelling of the time zone database', async () => {
    const put = { method: 'PUT', body: { time_zone: 'Asia/Kolkata' } };
    expect((await answer(scheduleViewSchema, path(weekly), put)).setting?.time_zone).toBe('Asia/Kolkata');
    const refused = await problem(path(weekly), { method: 'PUT', body: { time_zone: 'us/pacific' } });
    expect(refused).toMatchObject({ status: 400, code: 'bad_request' });
    expect(refused.detail).toMatch(/us\/pacific.*Europe\/Berlin/);
  });

  it.each([
    [{ interval_seconds: 0 }, /at least 60 seconds/],
    [{ every: { minutes: 0 } }, /at least 60 seconds/],
    [{ every_hours: 0 }, /every_hours/],
    [{ time_zone: 'Mars/Olympus' }, /no time zone of that name.*Europe\/Berlin/],
    [{ hour_window: { from: 3, to: 3 } }, /hour window/],
    [{ every_hours: 5, hour_window: { from: 2, to: 4 } }, /whole days/],
    [{ every_hours: 5, every_days: 1 }, /give one of/],
    [{ cron: '* * * * *' }, /cron/],
  ])('refuse %j and say what is wrong', async (body, detail) => {
    const refused = await problem(path(weekly), { method: 'PUT', body });
    expect(refused).toMatchObject({ status: 400, code: 'bad_request' });
    expect(refused.detail).toMatch(detail);
  });

  it('answer 404 for an unknown name', async () => {
    for (const id of ['nightly', 'retention-x', 'continuous_training-no_such_model', 'continuous_training-../x']) {
      expect(await problem(path(encodeURIComponent(id)))).toMatchObject({ status: 404, code: 'not_found' });
    }
    expect(await problem(`${path('nightly')}/pause`, { method: 'POST', body: {} })).toMatchObject({ status: 404 });
  });

  it('run retention manually, which only counts unless dry_run is false, with one audit row', async () => {
    const accepted = await ask('/api/v1/pipelines/retention', { method: 'POST', body: {} });
    expect(accepted.status).toBe(202);
    const { run_id: runId } = acceptedSchema.parse(await accepted.json());
    const real = await ask('/api/v1/pipelines/retention', { method: 'POST', body: { dry_run: false } });
    expect(acceptedSchema.parse(await real.json())).toMatchObject({ joined: false });
    const run = await fixture.withWorkers(() =>
      poll(
        () => answer(pipelineViewSchema, `/api/v1/pipelines/${runId}`),
        ({ status }) => status !== 'running',
      ),
    );
    expect(run).toMatchObject({ status: 'completed', workflow: 'applyRetention', result: { dry_run: true } });
    const audit = createAuditStore(fixture.served.api.database);
    const { items } = await audit.list({ limit: 10, subject: `pipelines/${runId}` });
    expect(items).toMatchObject([{ action: 'pipeline.start', actor: 'ada', after: { dryRun: true } }]);
  });

  it('list the runs of a backfill without starting them', async () => {
    const to = new Date();
    const range = { from: new Date(to.getTime() - 60 * day).toISOString(), to: to.toISOString() };
    const before = await get(continuous);
    const dry = await answer(backfillViewSchema, `${path(continuous)}/backfill`, { method: 'POST', body: range });
    expect(dry).toMatchObject({ dry_run: true, runs: 240 });
    expect(dry.times).toHaveLength(240);
    const gaps = dry.times.slice(1).map((time, index) => Date.parse(time) - Date.parse(dry.times[index] ?? ''));
    expect(Math.min(...gaps)).toBeGreaterThan(5.9 * 3_600_000);
    expect((await get(continuous)).taken).toBe(before.taken);
    expect((await auditOf(continuous)).map(({ action }) => action)).not.toContain('schedule.backfill');
  });

  it.each([
    ['more than a thousand runs', 300 * day, 0, /more than 1000 times/],
    ['an end before its beginning', -day, 2 * day, /exchange them/],
    ['a time to come', day, -day / 2, /future/],
  ])('refuse a backfill of %s', async (_what, length, ago, detail) => {
    const to = new Date(Date.now() - ago);
    const range = { from: new Date(to.getTime() - length).toISOString(), to: to.toISOString(), dry_run: false };
    const refused = await problem(`${path(continuous)}/backfill`, { method: 'POST', body: range });
    expect(refused).toMatchObject({ status: 400 });
    expect(refused.detail).toMatch(detail);
  });

  it('count a run that was due while the one before it waited for a worker, which then explains itself', async () => {
    const handle = await fixture.served.api.temporal.use((client) =>
      Promise.resolve(client.schedule.getHandle(continuous)),
    );
    expect((await ask(`${path(continuous)}/trigger`, { method: 'POST' })).status).toBe(202);
    expect((await auditOf(continuous))[0]).toMatchObject({ action: 'schedule.trigger', actor: 'ada' });
    await poll(
      () => get(continuous),
      ({ running }) => running === 1,
    );
    // Like a tick that is due while the run continues.
    await handle.trigger('SKIP');
    await poll(
      () => get(continuous),
      ({ skipped_overlap }) => skipped_overlap === 1,
    );
    const figures = await poll(
      async () => (await ask('/metrics')).text(),
      (text) => text.includes(`mlops_schedule_skipped_total{schedule="${continuous}",reason="overlap"} 1`),
    );
    expect(figures).toContain(`mlops_schedule_skipped_total{schedule="retention",reason="missed"} 0`);
    expect(figures).toContain(`mlops_schedule_paused{schedule="${continuous}"} 1`);
    await fixture.withWorkers(async () => {
      const { last_runs: runs } = await poll(
        () => get(continuous),
        ({ last_runs }) => Boolean(last_runs[0]?.decision),
      );
      expect(runs).toMatchObject([
        { decision: { decision: 'skip', skipped_because: 'no_data', kind: 'continuous_training' } },
      ]);
      expect(runs[0]?.decision?.scheduled_for).not.toBeNull();
    });
  });

  it('answer 503 within seconds while Temporal is unavailable, and metrics still work', async () => {
    await fixture.temporal.pause();
    const asked = Date.now();
    expect(await problem(path(weekly))).toMatchObject({ status: 503, code: 'temporal_unavailable' });
    expect(await problem(`${path(weekly)}/pause`, { method: 'POST', body: {} })).toMatchObject({ status: 503 });
    expect((await ask('/metrics')).status).toBe(200);
    expect(Date.now() - asked).toBeLessThan(12_000);
  });
});
