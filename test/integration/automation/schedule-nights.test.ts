import { backfillViewSchema, scheduleViewSchema } from '../../../contracts/retraining/http-schedules.js';
import { createRequests } from '../../support/requests.js';
import { startAutomationFixture, type AutomationFixture } from '../../support/automation-fixture.js';

const continuous = 'continuous_training-dandelion_grass_classifier';
const path = (id: string): string => `/api/v1/schedules/${id}`;

let fixture: AutomationFixture;
beforeAll(async () => {
  fixture = await startAutomationFixture();
  await fixture.served.api.retraining.schedules.ensure('dandelion_grass_classifier');
});
afterAll(() => fixture.stop());

const { answer } = createRequests(() => fixture.served.url);

describe('the runs of a daily window, as Temporal computes them,', () => {
  it.each([
    ['America/Los_Angeles', 1, '2026-10-30', '2026-11-04'],
    ['America/Los_Angeles', 2, '2026-03-06', '2026-03-11'],
    ['America/Santiago', 23, '2026-04-02', '2026-04-07'],
    ['Asia/Beirut', 0, '2026-03-26', '2026-03-31'],
  ])(
    'are due once a night in %s between %i and the next hour, also when the clocks change',
    async (zone, from, first, last) => {
      const body = { every_days: 1, hour_window: { from, to: (from + 1) % 24 }, time_zone: zone };
      await answer(scheduleViewSchema, path(continuous), { method: 'PUT', body });
      const range = { from: `${first}T12:00:00Z`, to: `${last}T12:00:00Z` };
      const { times } = await answer(backfillViewSchema, `${path(continuous)}/backfill`, {
        method: 'POST',
        body: range,
      });
      expect(times).toHaveLength(5);
    },
  );
});
