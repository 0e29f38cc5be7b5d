import { messageOf } from '../../../contracts/errors.js';
import type { PredictionRecord } from '../../../contracts/predictions/predictions.js';
import type { Prediction } from '../../../model/serving/engine.js';
import { uuid7 } from '../../../platform/uuid7.js';
import type { ServedModel } from '../../model-host/served-model.js';
import type { OpenSegment } from './prediction-journal.js';
import { bufferRows, insertRows, PredictionWriter, type PredictionWriterOptions } from './prediction-writer.js';

/**
 * How a prediction gets into Postgres without anybody waiting for it. It is appended to a file within `journalMs`,
 * without fsync: a SIGKILL loses at most what came in the last twenty milliseconds, a power cut what the kernel had
 * not written. Waiting for the file before answering would lose nothing at a SIGKILL, and would put the disk into the
 * latency of every prediction. Every `flushMs`, or after `insertRows`, the file is closed, its rows are inserted from
 * memory in one statement, and the file is removed. While Postgres is away files stay, and are read back later.
 */
const journalMs = 20;
const flushMs = 200;
/** While Postgres is away a file is closed after so many rows, or a minute, so that there are few. */
const awayRows = 5_000;
const awayMs = 60_000;
const retryMs = { first: 250, most: 5_000 };
const diskRetryMs = 1_000;
const stopMs = 2_000;

/** What a route knows of a prediction it made. */
export interface PredictionFacts {
  prediction: Prediction;
  abstained: boolean;
  imageSha256: string | null;
  latencyMs: number;
  route: PredictionRecord['route'];
}

export interface PredictionLog {
  /** Takes note of a prediction; gives the id under which it will be found. Never waits and never throws. */
  keep(served: ServedModel, facts: PredictionFacts): string;
  /** Resolves when everything kept so far is in Postgres. Throws `database_unavailable`. */
  flush(): Promise<void>;
  /** Takes over what processes that were killed left in the journal. */
  adopt(): Promise<void>;
  /** Predictions that are not in Postgres yet, as far as they are counted. */
  waiting(): number;
  /** Writes everything to Postgres, or leaves it to the next start. Call it after the last prediction. */
  stop(): Promise<void>;
}

/** A log that keeps nothing: predictions get an id, and that is all. */
export const noPredictionLog: PredictionLog = {
  keep: () => uuid7(),
  flush: () => Promise.resolve(),
  adopt: () => Promise.resolve(),
  waiting: () => 0,
  stop: () => Promise.resolve(),
};

export interface PredictionLogOptions extends PredictionWriterOptions {
  replica: string;
  /** Told of rows that are lost because neither Postgres nor the disk takes them. */
  onDrop: (rows: number) => void;
}

export function createPredictionLog(options: PredictionLogOptions): PredictionLog {
  return new Log(options);
}

/** A file being written, with its rows. */
interface OpenBatch {
  file: OpenSegment;
  rows: PredictionRecord[];
  openedAt: number;
}

class Log implements PredictionLog {
  /** Not even in the journal. */
  private fresh: PredictionRecord[] = [];
  private open: OpenBatch | null = null;
  private readonly writer: PredictionWriter;
  private journalTimer: NodeJS.Timeout | undefined;
  private flushTimer: NodeJS.Timeout | undefined;
  private journalling: Promise<void> = Promise.resolve();
  private failures = 0;
  private diskRetryAt = 0;
  private dropped = 0;
  private stopped = false;

  constructor(private readonly options: PredictionLogOptions) {
    this.writer = new PredictionWriter(options);
  }

  keep({ engine, version, generation }: ServedModel, facts: PredictionFacts): string {
    const { prediction, ...same } = facts;
    const { label, confidence, probabilities, familiarity } = prediction;
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
      distance: familiarity?.distance ?? null,
      unfamiliar: familiarity?.unfamiliar ?? false,
      neighbour: familiarity?.neighbour ?? null,
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
    const late = new Promise<void>((resolve) => setTimeout(resolve, stopMs).unref());
    // What Postgres does not take in time is in the journal already.
    await Promise.race([this.flush().catch(() => undefined), late]);
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
    // One line for the first, then one for each thousand: a full disk needs no flood of them.
    if (this.dropped === 0 || Math.floor((this.dropped + rows) / 1_000) > Math.floor(this.dropped / 1_000)) {
      this.options.logger.error(
        { dropped: this.dropped + rows },
        'predictions are not kept: neither Postgres nor the disk takes them',
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
      // Counted before the write, so that what is under way is not forgotten.
      this.open.rows.push(...rows);
      await this.open.file.append(rows);
    } catch (error) {
      await this.withoutDisk(rows, error);
    }
  }

  /** The file may end in half a line, so that nothing more is written to it; its rows stay in memory as well. */
  private async withoutDisk(rows: PredictionRecord[], error: unknown): Promise<void> {
    this.options.logger.error({ error: messageOf(error) }, 'the journal of predictions cannot be written');
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
      // While Postgres is away, the file being written goes on: fewer files, and they are closed by `closeIfDue`.
      const closed = this.failures === 0 ? this.close() : Promise.resolve();
      void closed.then(() => this.drain());
    }, ms);
  }

  /** Closes the file being written, once what is on its way to it has arrived. */
  private async close(): Promise<void> {
    await this.journalling;
    const batch = this.open;
    if (!batch) return;
    this.open = null;
    const { file, rows } = batch;
    this.writer.push({ path: file.path, isWhole: true, rows, count: rows.length });
    await file.close().catch(() => undefined);
  }

  /** Lets out what is closed; tries again, with growing pauses, while Postgres takes nothing. */
  private async drain(): Promise<void> {
    try {
      await this.writer.drain();
      if (this.failures > 0) this.options.logger.info('Postgres takes predictions again');
      this.failures = 0;
      if (this.open) this.scheduleFlush(flushMs);
    } catch (error) {
      if (this.failures === 0) {
        this.options.logger.warn({ error: messageOf(error) }, 'predictions stay in the journal; Postgres takes none');
      }
      const pauseMs = Math.min(retryMs.first * 2 ** Math.min(this.failures, 10), retryMs.most);
      this.failures += 1;
      this.scheduleFlush(pauseMs);
    }
  }
}
