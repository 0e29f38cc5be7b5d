import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import type { SchemaElement } from 'hyparquet';
import type { BatchFormat, BatchRow } from '../../contracts/batch-predictions/batch-predictions.js';
import { csvLine } from './csv.js';
import { resultColumns, type ResultColumn } from './result-columns.js';

/** Writes rows in order, in groups, and keeps none of them in memory for long. */
export interface ResultFile {
  write(rows: readonly BatchRow[]): Promise<void>;
  /** Completes the file. */
  close(): Promise<void>;
  /** Closes a file that will not be completed; does nothing after `close`. */
  abandon(): Promise<void>;
}

/** Rows per Parquet row group; so many are in memory at once. */
const rowsPerGroup = 10_000;

/** Writes predictions to a file at `path`, in one of the formats. */
export function createResultFile(format: BatchFormat, path: string, labels: readonly string[]): ResultFile {
  const columns = resultColumns(labels);
  switch (format) {
    case 'parquet':
      return parquetFile(path, columns);
    case 'csv':
      return textFile(path, {
        begin: csvLine(columns.map(({ name }) => name)),
        row: (row) => csvLine(columns.map(({ read }) => read(row))),
        end: '',
      });
    case 'json':
      return textFile(path, {
        begin: '[',
        row: (row, isFirst) => `${isFirst ? '\n' : ',\n'}${JSON.stringify(objectOf(columns, row))}`,
        end: '\n]\n',
      });
  }
}

function objectOf(columns: readonly ResultColumn[], row: BatchRow): Record<string, unknown> {
  return Object.fromEntries(columns.map(({ name, read }) => [name, read(row)]));
}

interface TextFormat {
  begin: string;
  row(row: BatchRow, isFirst: boolean): string;
  end: string;
}

function textFile(path: string, format: TextFormat): ResultFile {
  const stream = createWriteStream(path);
  // `finished` rejects when the disk is full; without a handler the rejection would end the process.
  const ended = finished(stream);
  ended.catch(() => undefined);
  const write = async (text: string): Promise<void> => {
    if (!stream.write(text)) await Promise.race([once(stream, 'drain'), ended]);
  };
  let isFirst = true;
  const begun = write(format.begin);
  begun.catch(() => undefined);
  return {
    async write(rows) {
      await begun;
      let text = '';
      for (const row of rows) {
        text += format.row(row, isFirst);
        isFirst = false;
      }
      await write(text);
    },
    async close() {
      await begun;
      stream.end(format.end);
      await ended;
    },
    async abandon() {
      if (stream.closed) return;
      stream.destroy();
      await once(stream, 'close');
    },
  };
}

function parquetFile(path: string, columns: readonly ResultColumn[]): ResultFile {
  const writer = new ParquetWriter({
    writer: fileWriter(path),
    schema: parquetSchema(columns),
    createdBy: 'perennial',
  });
  let waiting: BatchRow[] = [];
  const flush = (): void => {
    const columnData = columns.map(({ name, read }) => ({ name, data: waiting.map(read) }));
    void writer.write({ columnData, rowGroupSize: Math.max(1, waiting.length) });
    waiting = [];
  };
  return {
    write(rows) {
      waiting.push(...rows);
      if (waiting.length >= rowsPerGroup) flush();
      return Promise.resolve();
    },
    async close() {
      if (waiting.length > 0) flush();
      await writer.finish();
    },
    // The writer opens the file anew for each group, so nothing is open here.
    abandon: () => Promise.resolve(),
  };
}

function parquetSchema(columns: readonly ResultColumn[]): SchemaElement[] {
  return [
    { name: 'root', num_children: columns.length },
    ...columns.map(({ name, type }): SchemaElement => {
      const repetition = { name, repetition_type: 'OPTIONAL' } as const;
      if (type === 'STRING') return { ...repetition, type: 'BYTE_ARRAY', converted_type: 'UTF8' };
      return { ...repetition, type };
    }),
  ];
}
