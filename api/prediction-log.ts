import { messageOf } from '../contracts/errors.js';
import type { PredictionRecord } from '../contracts/predictions.js';
import type { Logger } from '../platform/logging.js';
import { uuid7 } from '../platform/uuid7.js';
import { isRefusedData } from '../stores/database-faults.js';
import type { PredictionStore } from '../stores/predictions.js';
import type { ServedModel } from './model-host.js';
import type { OpenSegment, PredictionJournal } from './prediction-journal.js';

/**
 * How a prediction gets into Postgres without anybody waiting for it. It is appended to a file within `journalMs`,
 * without fsync: a SIGKILL loses at most what came in the last twenty milliseconds, a power cut what the kernel had
 * not written. Waiting for the file before answering would lose nothing at a SIGKILL, and would put the disk into the
 * latency of every prediction. Every `flushMs`, or after `flushRows`, the file is closed, its rows are inserted from
 * memory in one statement, and the file is removed. While Postgres is away files stay, and are read back later.
 */
const journalMs = 20;
const flushMs = 200;
const flushRows = 500;
/** While Postgres is away a file is closed after so many rows, or a minute, so that there are few. */
const awayRows = 5_000;
const awayMs = 60_000;
/** Rows in memory beyond which the files alone hold them; and, when the disk refuses, beyond which rows are dropped. */
const bufferRows = 10_000;
const retryMs = { first: 250, most: 5_000 };
const diskRetryMs = 1_000;
const stopMs = 2_000;

/** What a route knows of a prediction it made. */
export interface PredictionFacts {
  /** In the order of the engine's labels. */
  probabilities: readonly number[];
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

export interface PredictionLogOptions {
  replica: string;
  predictions: Pick<PredictionStore, 'add'>;
  journal: PredictionJournal;
  onDrop: (rows: number) => void;
  logger: Logger;
}

export function createPredictionLog(options: PredictionLogOptions): PredictionLog {
  return new Log(options);
}

/** Predictions on their way: in a file, in memory, or both. */
interface Batch {
  file: OpenSegment | null;
  path: string | null;
  /** Whether the file has all of the rows. */
  isWhole: boolean;
  /** Null when the file alone has them. */
  rows: PredictionRecord[] | null;
  count: number;
  openedAt: number;
}

const onDisk = { file: null, rows: null, isWhole: true, count: 0, openedAt: 0 };
const inMemory = { file: null, path: null, isWhole: false, openedAt: 0 };

class Log implements PredictionLog {
  /** Not even in the journal. */
  private fresh: PredictionRecord[] = [];
  private open: Batch | null = null;
  private readonly closed: Batch[] = [];
  private journalTimer: NodeJS.Timeout | undefined;
  private flushTimer: NodeJS.Timeout | undefined;
  private journalling: Promise<void> = Promise.resolve();
  private draining: Promise<void> | null = null;
  private failures = 0;
  private diskRetryAt = 0;
  private dropped = 0;
  private stopped = false;

  constructor(private readonly options: PredictionLogOptions) {}

  keep({ engine, version, generation }: ServedModel, facts: PredictionFacts): string {
    const { probabilities, ...same } = facts;
    const confidence = Math.max(...probabilities);
    const id = uuid7();
    this.take({
      ...same,
      id,
      modelName: version.modelName,
      version: version.version,
      generation,
      replica: this.options.replica,
      bundleSha256: version.bundleSha256,
      predicted: engine.labels[probabilities.indexOf(confidence)] ?? 'unknown',
      confidence,
      probabilities: Object.fromEntries(engine.labels.map((label, index) => [label, probabilities[index] ?? 0])),
    });
    return id;
  }

  waiting(): number {
    return this.fresh.length + (this.open?.count ?? 0) + this.closed.reduce((sum, { count }) => sum + count, 0);
  }

  async flush(): Promise<void> {
    await this.writeJournal();
    await this.close();
    while (this.closed.length > 0) await this.drain();
  }

  async adopt(): Promise<void> {
    const known = new Set(this.closed.map(({ path }) => path));
    for (const path of await this.options.journal.abandoned()) {
      if (!known.has(path)) this.closed.push({ ...onDisk, path });
    }
    if (this.closed.length > 0) this.scheduleFlush(0);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.journalTimer);
    clearTimeout(this.flushTimer);
    const late = new Promise<void>((resolve) => setTimeout(resolve, stopMs).unref());
    // What Postgres does not take in time is in the journal already.
    await Promise.race([this.flush().catch(() => undefined), late]);
    const lost = this.inMemoryAlone();
    if (lost > 0) this.drop(lost);
    if (this.closed.length > 0) this.options.logger.warn('predictions stay in the journal until the next start');
  }

  private take(prediction: PredictionRecord): void {
    if (this.inMemoryAlone() >= bufferRows) {
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
  private inMemoryAlone(): number {
    const batches = this.closed.filter(({ isWhole }) => !isWhole);
    return batches.reduce((sum, { count }) => sum + count, this.fresh.length);
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
      this.open ??= await this.openBatch();
      const batch = this.open;
      // Counted before the write, so that what is under way is not forgotten.
      batch.rows?.push(...rows);
      batch.count += rows.length;
      await batch.file?.append(rows);
    } catch (error) {
      await this.withoutDisk(rows, error);
    }
  }

  private async openBatch(): Promise<Batch> {
    const file = await this.options.journal.open();
    return { file, path: file.path, isWhole: true, rows: [], count: 0, openedAt: Date.now() };
  }

  /** The file may end in half a line, so that nothing more is written to it; its rows stay in memory as well. */
  private async withoutDisk(rows: PredictionRecord[], error: unknown): Promise<void> {
    this.options.logger.error({ error: messageOf(error) }, 'the journal of predictions cannot be written');
    this.diskRetryAt = Date.now() + diskRetryMs;
    const torn = this.open;
    this.open = null;
    await torn?.file?.close().catch(() => undefined);
    if (torn) this.closed.push({ ...torn, file: null, isWhole: false });
    else this.keepInMemory(rows);
    this.scheduleFlush(flushMs);
  }

  private keepInMemory(rows: PredictionRecord[]): void {
    this.closed.push({ ...inMemory, rows, count: rows.length });
    this.scheduleFlush(flushMs);
  }

  private closeIfDue(): void {
    if (!this.open) return;
    const { count, openedAt } = this.open;
    const isAway = this.failures > 0;
    const age = Date.now() - openedAt;
    const isDue = isAway ? count >= awayRows || age >= awayMs : count >= flushRows;
    if (isDue) void this.close().then(() => this.drainLater());
    else if (!isAway) this.scheduleFlush(flushMs);
  }

  private scheduleFlush(ms: number): void {
    if (this.stopped) return;
    this.flushTimer ??= setTimeout(() => {
      this.flushTimer = undefined;
      // While Postgres is away, the file being written goes on: fewer files, and they are closed by `closeIfDue`.
      const closed = this.failures === 0 ? this.close() : Promise.resolve();
      void closed.then(() => this.drainLater());
    }, ms);
  }

  /** Closes the file being written, once what is on its way to it has arrived. */
  private async close(): Promise<void> {
    await this.journalling;
    const batch = this.open;
    if (!batch) return;
    this.open = null;
    this.closed.push({ ...batch, file: null });
    await batch.file?.close().catch(() => undefined);
    this.releaseMemory();
  }

  private releaseMemory(): void {
    let held = 0;
    for (const batch of this.closed) {
      held += batch.rows?.length ?? 0;
      if (held > bufferRows && batch.isWhole) batch.rows = null;
    }
  }

  private async drainLater(): Promise<void> {
    try {
      await this.drain();
      if (this.open) this.scheduleFlush(flushMs);
    } catch (error) {
      const pauseMs = Math.min(retryMs.first * 2 ** Math.min(this.failures, 10), retryMs.most);
      if (this.failures === 0) {
        this.options.logger.warn({ error: messageOf(error) }, 'predictions stay in the journal; Postgres takes none');
      }
      this.failures += 1;
      this.scheduleFlush(pauseMs);
    }
  }

  private drain(): Promise<void> {
    this.draining ??= this.drainAll().finally(() => {
      this.draining = null;
    });
    return this.draining;
  }

  private async drainAll(): Promise<void> {
    for (let batch = this.closed[0]; batch; batch = this.closed[0]) {
      const rows = batch.rows ?? (await this.readBack(batch.path));
      for (let from = 0; from < rows.length; from += flushRows) await this.insert(rows.slice(from, from + flushRows));
      if (batch.path !== null) await this.options.journal.remove(batch.path);
      this.closed.splice(this.closed.indexOf(batch), 1);
      if (this.failures > 0) this.options.logger.info('Postgres takes predictions again');
      this.failures = 0;
    }
  }

  private async readBack(path: string | null): Promise<PredictionRecord[]> {
    if (path === null) return [];
    const { predictions, torn } = await this.options.journal.read(path).catch((error: unknown) => {
      // Another process of this machine was faster.
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { predictions: [], torn: 0 };
      throw error;
    });
    if (torn > 0) this.options.logger.warn({ path, torn }, 'lines of the journal that were not written to their end');
    return predictions;
  }

  /** One statement; row by row when Postgres refuses what one of them holds. */
  private async insert(rows: readonly PredictionRecord[]): Promise<void> {
    try {
      await this.options.predictions.add(rows);
    } catch (error) {
      if (!isRefusedData(error)) throw error;
      for (const row of rows) await this.insertAlone(row);
    }
  }

  private async insertAlone(row: PredictionRecord): Promise<void> {
    try {
      await this.options.predictions.add([row]);
    } catch (error) {
      if (!isRefusedData(error)) throw error;
      this.options.logger.error({ error, prediction_id: row.id }, 'Postgres refuses a prediction; it is set aside');
      await this.options.journal.setAside(row);
    }
  }
}
