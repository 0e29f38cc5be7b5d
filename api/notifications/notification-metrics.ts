import { Gauge, type Registry } from 'prom-client';
import { remember } from '../../platform/remember.js';
import { withTimeLimit } from '../../platform/time-limit.js';
import type { ChannelCounts, NotificationStore } from '../../stores/notifications/notifications.js';

/** The database is queried at most this often, however many scrapes there are. */
const askEveryMs = 5_000;
/** An unavailable database must not cost a scrape its other series. */
const patienceMs = 1_000;

/** Adds the series of pending and dead messages, which every API process reads from the database. */
export function notificationSeries({ counts }: Pick<NotificationStore, 'counts'>): (registry: Registry) => void {
  // Without an answer the series are absent, which is better than stale values.
  const current = remember<ChannelCounts[]>(askEveryMs, () => withTimeLimit(patienceMs, counts()).catch(() => []));
  return (registry) => {
    const add = (name: string, help: string, figure: 'waiting' | 'dead'): void => {
      new Gauge({
        name,
        help,
        labelNames: ['channel'],
        registers: [registry],
        async collect() {
          const known = await current();
          this.reset();
          for (const row of known) this.set({ channel: row.channel }, row[figure]);
        },
      });
    };
    add('mlops_notifications_waiting', 'Messages that wait to be sent, or to be tried again', 'waiting');
    add('mlops_notifications_dead', 'Messages that were given up', 'dead');
  };
}
