import { Counter, Gauge, type Registry } from 'prom-client';
import { promotionOutcomes } from '../../contracts/promotion/promotion-pipeline.js';
import { skipReasons } from '../../contracts/retraining/retraining.js';
import { remember } from '../../platform/remember.js';
import { withTimeLimit } from '../../platform/time-limit.js';
import type { ProductionHistory } from '../../stores/registry/history.js';
import type { RetrainingDecisions } from '../../stores/retraining/retraining-decisions.js';
import type { Schedules } from './schedules/schedules.js';

/** Values older than this are read again for a scrape. */
const freshMs = 5_000;
/** A scrape waits at most this long for new values, then shows the previous ones. */
const patienceMs = 1_000;

/** Retraining outcomes, counted in the database, so that every replica reports the same. */
export function retrainingSeries(decisions: Pick<RetrainingDecisions, 'counts'>): (registry: Registry) => void {
  return (registry) => {
    const read = latest(() => decisions.counts());
    const registers = [registry];
    new Counter({
      name: 'retraining_runs_total',
      help: 'Ended retrainings, by outcome',
      labelNames: ['outcome'],
      registers,
      async collect() {
        const counts = await read();
        this.reset();
        for (const outcome of [...promotionOutcomes, 'failed', 'cancelled']) this.inc({ outcome }, 0);
        for (const [outcome, total] of Object.entries(counts?.runs ?? {})) this.inc({ outcome }, total);
      },
    });
    new Counter({
      name: 'mlops_retraining_skipped_total',
      help: 'Requests to retrain that were skipped, by reason',
      labelNames: ['reason'],
      registers,
      async collect() {
        const counts = await read();
        this.reset();
        for (const reason of skipReasons) this.inc({ reason }, counts?.skipped[reason] ?? 0);
      },
    });
  };
}

/** Changes of Production and the last successful training, from the database. */
export function productionSeries(history: Pick<ProductionHistory, 'totals'>): (registry: Registry) => void {
  return (registry) => {
    const read = latest(() => history.totals());
    const registers = [registry];
    new Counter({
      name: 'mlops_promotions_total',
      help: 'Changes of Production: promotions, and versions that were rolled back',
      labelNames: ['result'],
      registers,
      async collect() {
        const totals = await read();
        this.reset();
        this.inc({ result: 'promoted' }, totals?.promotions ?? 0);
        this.inc({ result: 'rolled_back' }, totals?.rollbacks ?? 0);
      },
    });
    new Gauge({
      name: 'mlops_training_last_success_timestamp_seconds',
      help: 'When a training last ended in a model version; 0 before the first',
      registers,
      async collect() {
        const at = (await read())?.lastTrainedAt;
        this.set(at === undefined || at === null ? 0 : Date.parse(at) / 1000);
      },
    });
  };
}

/** Skipped runs and paused schedules, from Temporal. */
export function scheduleSeries(schedules: Pick<Schedules, 'list'>): (registry: Registry) => void {
  return (registry) => {
    const read = latest(() => schedules.list());
    const registers = [registry];
    new Counter({
      name: 'mlops_schedule_skipped_total',
      help: 'Skipped due runs of schedules, by reason',
      labelNames: ['schedule', 'reason'],
      registers,
      async collect() {
        const states = await read();
        this.reset();
        for (const { id, skippedOverlap, missedCatchUp } of states ?? []) {
          this.inc({ schedule: id, reason: 'overlap' }, skippedOverlap);
          this.inc({ schedule: id, reason: 'missed' }, missedCatchUp);
        }
      },
    });
    new Gauge({
      name: 'mlops_schedule_paused',
      help: '1 while a schedule is paused',
      labelNames: ['schedule'],
      registers,
      async collect() {
        const states = await read();
        this.reset();
        for (const { id, isPaused } of states ?? []) this.set({ schedule: id }, isPaused ? 1 : 0);
      },
    });
  };
}

/** While reading fails or takes long, the last answer holds: a counter that fell to 0 would look like a restart. */
function latest<T>(read: () => Promise<T>): () => Promise<T | null> {
  let last: T | null = null;
  return remember(freshMs, async () => {
    const reading = read().then((answer) => {
      last = answer;
    });
    // Routes that need Postgres or Temporal report that it is unavailable.
    await withTimeLimit(patienceMs, reading).catch(() => undefined);
    return last;
  });
}
