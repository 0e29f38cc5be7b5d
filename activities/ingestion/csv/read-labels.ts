import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { parse } from 'csv-parse';
import { z } from 'zod';
import { messageOf, PerennialError } from '../../../contracts/errors.js';
import { utf8Text } from '../archive/archive-entry.js';

/** A row that names a file and its label; `row` counts from 1 with the header, as a spreadsheet does. */
export interface LabelRow {
  row: number;
  path: string;
  label: string;
}

export interface LabelTable {
  rows: LabelRow[];
  /** Columns that are not used. */
  unused: string[];
}

const maxBytes = 64_000_000;
const delimiters = [',', ';', '\t', '|'] as const;
const pathNames = ['path', 'file', 'filename', 'file_name', 'filepath', 'file_path', 'image', 'image_path', 'img'];
const labelNames = ['label', 'class', 'category', 'class_name', 'classname', 'label_name'];
const recordSchema = z.array(z.string());

/**
 * Reads a table of files and labels (RFC 4180). Without a header that names both columns, the first column is the file and the second
 * the label. Throws `source_invalid`.
 */
export async function readLabels(path: string): Promise<LabelTable> {
  const name = basename(path);
  const text = await readText(path, name);
  const table: LabelTable = { rows: [], unused: [] };
  let columns: Columns | null = null;
  let row = 0;
  const records = parse(text, { bom: true, delimiter: delimiterOf(text), relax_column_count: true });
  try {
    for await (const read of records) {
      const record = recordSchema.parse(read).map((field) => field.trim());
      row += 1;
      if (record.every((field) => field === '')) continue;
      if (columns === null) {
        const header = columnsOf(record);
        columns = header ?? { path: 0, label: 1 };
        table.unused =
          header === null ? [] : record.filter((_, index) => index !== header.path && index !== header.label);
        if (header !== null) continue;
        requireTwo(record, name);
      }
      table.rows.push({ row, path: record[columns.path] ?? '', label: record[columns.label] ?? '' });
    }
  } catch (error) {
    if (error instanceof PerennialError) throw error;
    throw invalid(name, `it is not well-formed (${messageOf(error)}). Check its quotes.`, error);
  }
  if (table.rows.length === 0) throw invalid(name, 'it has no rows.');
  return table;
}

async function readText(path: string, name: string): Promise<string> {
  if ((await stat(path)).size > maxBytes) throw invalid(name, `it has more than ${maxBytes} bytes. Split it.`);
  const text = utf8Text(await readFile(path));
  if (text !== null) return text;
  throw invalid(name, 'its text is not UTF-8. Save it as “CSV UTF-8”.');
}

function invalid(name: string, why: string, cause?: unknown): PerennialError {
  return new PerennialError('source_invalid', `The table ${name} cannot be used: ${why}`, { cause });
}

/** The delimiter that the first line has most of, outside of quotes. */
function delimiterOf(text: string): string {
  const [line = ''] = text.split(/\r?\n/, 1);
  const plain = line.replaceAll(/"[^"]*"/g, '');
  const counts = delimiters.map((delimiter) => plain.split(delimiter).length);
  return delimiters[counts.indexOf(Math.max(...counts))] ?? ',';
}

interface Columns {
  path: number;
  label: number;
}

function columnsOf(header: readonly string[]): Columns | null {
  const names = header.map((field) => field.toLowerCase().replaceAll(/[\s-]+/g, '_'));
  const find = (known: readonly string[]): number => names.findIndex((name) => known.includes(name));
  const columns = { path: find(pathNames), label: find(labelNames) };
  return columns.path < 0 || columns.label < 0 ? null : columns;
}

/** A first row without two columns, or with other names, is a header that nobody can guess the meaning of. */
function requireTwo(first: readonly string[], name: string): void {
  const [path = '', label = ''] = first;
  if (label !== '' && /\.[a-z0-9]{2,5}$/i.test(path)) return;
  throw invalid(
    name,
    `its first row (${first.slice(0, 5).join(', ')}) names no columns that say which file has which label. Name them “path” and “label”.`,
  );
}
