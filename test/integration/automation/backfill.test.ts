import { backfillViewSchema, scheduleViewSchema } from '../../../contracts/retraining/http-schedules.js';
import { createAuditStore } from '../../../stores/audit/audit.js';
import { createRetrainingDecisions } from '../../../stores/retraining/retraining-decisions.js';
import { poll } from '../../support/api-client.js';
import { createRequests } from '../../support/requests.js';
import { startAutomationFixture, type AutomationFixture } from '../../support/automation-fixture.js';

const day = 86_400_000;
const id = 'continuous_training-dandelion_grass_classifier';

let fixture: AutomationFixture;
beforeAll(async () => {
  fixture = await startAutomationFixture();
  await fixture.served.api.retraining.schedules.ensure('dandelion_grass_classifier');
});
afterAll(() => fixture.stop());

const { ask, answer } = createRequests(() => fixture.served.url);

describe('a backfill of sixty days', () => {
  // Temporal's scheduler starts ten past runs at a time, about once a second.
  it('runs or explains each of its 240 ticks, one after the other', async () => {
    const to = new Date();
    const range = { from: new Date(to.getTime() - 60 * day).toISOString(), to: to.toISOString() };
    const response = await ask(`/api/v1/schedules/${id}/backfill`, {
      method: 'POST',
      body: { ...range, dry_run: false },
    });
    expect(response.status).toBe(202);
    const { runs, times } = backfillViewSchema.parse(await response.json());
    expect(runs).toBe(240);
    const decisions = createRetrainingDecisions(fixture.served.api.database);
    const made = async (): Promise<number> => (await decisions.counts()).skipped['no_data'] ?? 0;
    await fixture.withWorkers(() => poll(made, (count) => count === 240, 180_000));
    const explained: string[] = [];
    for (let pageToken: string | null = null, isLast = false; !isLast; isLast = pageToken === null) {
      const page = await decisions.list({ limit: 100, pageToken });
      explained.push(...page.items.flatMap(({ scheduledFor }) => (scheduledFor === null ? [] : [scheduledFor])));
      pageToken = page.nextPageToken;
    }
    // A tick has the full hour as its time, and runs a little later because of its jitter.
    const hourOf = (time: string): string => time.slice(0, 13);
    expect(explained.reverse().map(hourOf)).toEqual(times.map(hourOf));
    const { items } = await createAuditStore(fixture.served.api.database).list({
      limit: 1,
      action: 'schedule.backfill',
    });
    expect(items).toMatchObject([{ actor: 'ada', subject: `schedules/${id}`, after: { runs: 240 } }]);
    const after = await poll(
      () => answer(scheduleViewSchema, `/api/v1/schedules/${id}`),
      ({ taken }) => taken === 240,
    );
    expect(after).toMatchObject({ skipped_overlap: 0, missed_catch_up: 0 });
  });
});
