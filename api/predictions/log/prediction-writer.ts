import type { PredictionRecord } from '../../../contracts/predictions/predictions.js';
import type { Logger } from '../../../platform/logging.js';
import { isRefusedData } from '../../../stores/postgres/database-faults.js';
import type { PredictionStore } from '../../../stores/predictions/predictions.js';
import type { PredictionJournal } from './prediction-journal.js';

/** Rows of one statement. */
export const insertRows = 500;
/** Maximum rows in memory; further ones are read back from their files. */
export const bufferRows = 10_000;

/** Predictions waiting for Postgres: in a closed journal file, in memory, or both. */
export interface Batch {
  path: string | null;
  /** Whether the file contains all rows. */
  isWhole: boolean;
  /** Null if only the file has them. */
  rows: PredictionRecord[] | null;
  count: number;
}

export interface PredictionWriterOptions {
  predictions: Pick<PredictionStore, 'add'>;
  journal: PredictionJournal;
  logger: Logger;
}

/** Moves predictions from the journal to Postgres, batch by batch; removes a file once its rows are inserted. */
export class PredictionWriter {
  private readonly batches: Batch[] = [];
  private draining: Promise<void> | null = null;

  constructor(private readonly options: PredictionWriterOptions) {}

  get isEmpty(): boolean {
    return this.batches.length === 0;
  }

  /** Number of waiting rows, without files of dead processes. */
  get count(): number {
    return this.batches.reduce((sum, { count }) => sum + count, 0);
  }

  /** Rows that would be lost with this process. */
  get unsaved(): number {
    return this.batches.reduce((sum, { isWhole, count }) => (isWhole ? sum : sum + count), 0);
  }

  has(path: string): boolean {
    return this.batches.some((batch) => batch.path === path);
  }

  /** Adds a batch. Rows beyond the memory limit are read back from the file later. */
  push(batch: Batch): void {
    this.batches.push(batch);
    let held = 0;
    for (const each of this.batches) {
      held += each.rows?.length ?? 0;
      if (held > bufferRows && each.isWhole) each.rows = null;
    }
  }

  /** Resolves when no batch is left. Throws if Postgres fails; that batch and later ones stay. */
  drain(): Promise<void> {
    this.draining ??= this.drainAll().finally(() => {
      this.draining = null;
    });
    return this.draining;
  }

  private async drainAll(): Promise<void> {
    for (let batch = this.batches[0]; batch; batch = this.batches[0]) {
      const rows = batch.rows ?? (await this.readBack(batch.path));
      for (let from = 0; from < rows.length; from += insertRows) await this.insert(rows.slice(from, from + insertRows));
      if (batch.path !== null) await this.remove(batch.path);
      this.batches.splice(this.batches.indexOf(batch), 1);
    }
  }

  /** On a read-only disk the file stays: the next process inserts its rows once more, which changes nothing. */
  private async remove(path: string): Promise<void> {
    await this.options.journal.remove(path).catch((error: unknown) => {
      this.options.logger.warn({ error, path }, 'a file of the journal cannot be removed');
    });
  }

  private async readBack(path: string | null): Promise<PredictionRecord[]> {
    if (path === null) return [];
    const { predictions, torn } = await this.options.journal.read(path);
    if (torn > 0) this.options.logger.warn({ path, torn }, 'incomplete lines in the journal');
    return predictions;
  }

  /** Inserts in one statement; row by row if Postgres refuses the data of one. */
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
      // A full disk must not make it block those behind it.
      await this.options.journal.setAside(row).catch((failure: unknown) => {
        this.options.logger.error({ error: failure, prediction_id: row.id }, 'it could not be set aside and is lost');
      });
    }
  }
}
