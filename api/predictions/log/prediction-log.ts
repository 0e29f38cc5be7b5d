import { errorCodeOf, messageOf } from '../../../contracts/errors.js';
import type { PredictionRecord } from '../../../contracts/predictions/predictions.js';
import type { Prediction } from '../../../model/serving/engine.js';
import { backoffMs } from '../../../platform/backoff.js';
import { withTimeLimit } from '../../../platform/time-limit.js';
import { uuid7 } from '../../../platform/uuid7.js';
import type { ServedModel } from '../../model-host/served-model.js';
import type { OpenSegment } from './prediction-journal.js';
import { bufferRows, insertRows, PredictionWriter, type PredictionWriterOptions } from './prediction-writer.js';

/**
 * Writes predictions to Postgres behind the answer. A prediction is appended to a file within `journalMs`, without fsync:
 * a SIGKILL loses at most the last twenty milliseconds, a power cut what the kernel had not written. Waiting for the file
 * before answering would lose nothing at a SIGKILL, but would add the disk to the latency of every prediction. Every
 * `flushMs`, or after `insertRows`, the file is closed, its rows are inserted from memory in one statement, and the file
 * is removed. While Postgres is unavailable files stay, and are read back later.
 */
const journalMs = 20;
const flushMs = 200;
/** While Postgres is unavailable, a file is closed only after this many rows or a minute, to keep files few. */
const awayRows = 5_000;
const awayMs = 60_000;
const retryMs = { first: 250, most: 5_000 };
const diskRetryMs = 1_000;
const stopMs = 2_000;

/** Fields of a prediction that the route knows. */
export interface PredictionFacts {
  prediction: Prediction;
  abstained: boolean;
  imageSha256: string | null;
  latencyMs: number;
  route: PredictionRecord['route'];
}

export interface PredictionLog {
  /** Queues a prediction and returns its id. Never blocks and never throws. */
  keep(served: ServedModel, facts: PredictionFacts): string;
  /** Resolves when every queued prediction is in Postgres. Throws `database_unavailable`. */
  flush(): Promise<void>;
  /** Adopts journal files of dead processes. */
  adopt(): Promise<void>;
  /** Number of predictions that are not in Postgres yet, without adopted files. */
  waiting(): number;
  /** Writes everything to Postgres, or leaves it in the journal. Call it after the last prediction. */
  stop(): Promise<void>;
}

/** A log that stores nothing: predictions only get an id. */
export const noPredictionLog: PredictionLog = {
  keep: () => uuid7(),
  flush: () => Promise.resolve(),
  adopt: () => Promise.resolve(),
  waiting: () => 0,
  stop: () => Promise.resolve(),
};

export interface PredictionLogOptions extends PredictionWriterOptions {
  replica: string;
  /** Called with the number of rows lost because neither Postgres nor the disk accepts them. */
  onDrop: (rows: number) => void;
}

export function createPredictionLog(options: PredictionLogOptions): PredictionLog {
  return new Log(options);
}

/** The open file and its rows. */
interface OpenBatch {
  file: OpenSegment;
  rows: PredictionRecord[];
  openedAt: number;
}

class Log implements PredictionLog {
  /** Not in the journal yet. */
  private fresh: PredictionRecord[] = [];
  private open: OpenBatch | null = null;
  private readonly writer: PredictionWriter;
  private journalTimer: NodeJS.Timeout | undefined;
  private flushTimer: NodeJS.Timeout | undefined;
  private journalling: Promise<void> = Promise.resolve();
  private failures = 0;
  private diskRetryAt = 0;
  private diskFailures = 0;
  private dropped = 0;
  private stopped = false;

  constructor(private readonly options: PredictionLogOptions) {
    this.writer = new PredictionWriter(options);
  }

  keep({ engine, version, generation }: ServedModel, facts: PredictionFacts): string {
    const { prediction, ...same } = facts;
    const { label, confidence, probabilities, oodScore } = prediction;
    const id = uuid7();
    this.take({
      ...same,
      id,
      modelName: version.modelName,
      version: version.version,
      generation,
      replica: this.options.replica,
      bundleSha256: version.bundleSha256,
      predicted: label,
      confidence,
      probabilities: Object.fromEntries(engine.labels.map((name, index) => [name, probabilities[index] ?? 0])),
      variant: engine.variant,
      distance: oodScore?.distance ?? null,
      unfamiliar: oodScore?.outOfDistribution ?? false,
      neighbour: oodScore?.neighbour ?? null,
    });
    return id;
  }

  waiting(): number {
    return this.fresh.length + (this.open?.rows.length ?? 0) + this.writer.count;
  }

  async flush(): Promise<void> {
    await this.writeJournal();
    await this.close();
    while (!this.writer.isEmpty) await this.writer.drain();
  }

  async adopt(): Promise<void> {
    for (const path of await this.options.journal.abandoned()) {
      if (!this.writer.has(path)) this.writer.push({ path, rows: null, isWhole: true, count: 0 });
    }
    if (!this.writer.isEmpty) this.scheduleFlush(0);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.journalTimer);
    clearTimeout(this.flushTimer);
    // Rows that Postgres does not accept in time are in the journal already.
    await withTimeLimit(stopMs, this.flush()).catch(() => undefined);
    const lost = this.unsaved();
    if (lost > 0) this.drop(lost);
    if (!this.writer.isEmpty) this.options.logger.warn('predictions stay in the journal until the next start');
  }

  private take(prediction: PredictionRecord): void {
    if (this.unsaved() >= bufferRows) {
      this.drop(1);
      return;
    }
    this.fresh.push(prediction);
    this.journalTimer ??= setTimeout(() => {
      this.journalTimer = undefined;
      void this.writeJournal().then(() => this.closeIfDue());
    }, journalMs);
  }

  /** Rows that would be lost with this process. */
  private unsaved(): number {
    return this.fresh.length + this.writer.unsaved;
  }

  private drop(rows: number): void {
    this.options.onDrop(rows);
    // Log the first loss, then one in a thousand: a full disk must not flood the log.
    if (this.dropped === 0 || Math.floor((this.dropped + rows) / 1_000) > Math.floor(this.dropped / 1_000)) {
      this.options.logger.error(
        { dropped: this.dropped + rows },
        'predictions are lost: neither Postgres nor the disk accepts them',
      );
    }
    this.dropped += rows;
  }

  private writeJournal(): Promise<void> {
    this.journalling = this.journalling.then(() => this.writeFresh());
    return this.journalling;
  }

  private async writeFresh(): Promise<void> {
    if (this.fresh.length === 0) return;
    const rows = this.fresh;
    this.fresh = [];
    if (Date.now() < this.diskRetryAt) {
      this.keepInMemory(rows);
      return;
    }
    try {
      this.open ??= { file: await this.options.journal.open(), rows: [], openedAt: Date.now() };
      // Count before the write, to include rows in flight.
      this.open.rows.push(...rows);
      await this.open.file.append(rows);
      if (this.diskFailures > 0) this.options.logger.info('the journal of predictions is written again');
      this.diskFailures = 0;
    } catch (error) {
      await this.withoutDisk(rows, error);
    }
  }

  /** The file may end in a partial line, so nothing more is appended; its rows stay in memory too. */
  private async withoutDisk(rows: PredictionRecord[], error: unknown): Promise<void> {
    // Only the first failure: a full disk must not flood the log.
    if (this.diskFailures === 0) {
      const reason = { code: errorCodeOf(error), error: messageOf(error) };
      this.options.logger.error(reason, 'the journal of predictions cannot be written; they wait in memory');
    }
    this.diskFailures += 1;
    this.diskRetryAt = Date.now() + diskRetryMs;
    const torn = this.open;
    this.open = null;
    if (!torn) {
      this.keepInMemory(rows);
      return;
    }
    await torn.file.close().catch(() => undefined);
    this.writer.push({ path: torn.file.path, isWhole: false, rows: torn.rows, count: torn.rows.length });
    this.scheduleFlush(flushMs);
  }

  private keepInMemory(rows: PredictionRecord[]): void {
    this.writer.push({ path: null, isWhole: false, rows, count: rows.length });
    this.scheduleFlush(flushMs);
  }

  private closeIfDue(): void {
    if (!this.open) return;
    const { rows, openedAt } = this.open;
    const isAway = this.failures > 0;
    const isDue = isAway ? rows.length >= awayRows || Date.now() - openedAt >= awayMs : rows.length >= insertRows;
    if (isDue) void this.close().then(() => this.drain());
    else if (!isAway) this.scheduleFlush(flushMs);
  }

  private scheduleFlush(ms: number): void {
    if (this.stopped) return;
    this.flushTimer ??= setTimeout(() => {
      this.flushTimer = undefined;
      // While Postgres is unavailable, keep appending to the open file; `closeIfDue` closes it.
      const closed = this.failures === 0 ? this.close() : Promise.resolve();
      void closed.then(() => this.drain());
    }, ms);
  }

  /** Closes the open file after its pending writes. */
  private async close(): Promise<void> {
    await this.journalling;
    const batch = this.open;
    if (!batch) return;
    this.open = null;
    const { file, rows } = batch;
    this.writer.push({ path: file.path, isWhole: true, rows, count: rows.length });
    await file.close().catch(() => undefined);
  }

  /** Inserts the rows of closed files; retries with back-off while Postgres fails. */
  private async drain(): Promise<void> {
    try {
      await this.writer.drain();
      if (this.failures > 0) this.options.logger.info('Postgres accepts predictions again');
      this.failures = 0;
      if (this.open) this.scheduleFlush(flushMs);
    } catch (error) {
      if (this.failures === 0) {
        this.options.logger.warn(
          { error: messageOf(error) },
          'predictions stay in the journal because Postgres does not accept them',
        );
      }
      this.failures += 1;
      this.scheduleFlush(backoffMs(retryMs, this.failures));
    }
  }
}
