import { basename, dirname, posix } from 'node:path';
import type { FoundFile } from '../../../stores/datasets/scan-rows.js';
import { labelledFile, refusedFile, withShortPath } from '../classify-path.js';
import type { SourceLayout } from '../../../domain/datasets/source-layout.js';
import { bytePath } from '../../../platform/folder-names.js';
import type { ScanTally } from '../scan-tally.js';
import { walkFolder } from '../walk-folder.js';
import { readLabels, type LabelRow } from './read-labels.js';

/**
 * Lists the files of the folder that a table of labels lies in. Every file has an outcome, also one without a row, and so has
 * every row, also one without a file. `note` is told what else a person should know.
 */
export async function* scanCsv(
  path: string,
  tally: ScanTally,
  note: (text: string) => void,
): AsyncGenerator<FoundFile> {
  const root = dirname(path);
  const table = basename(path);
  const { rows, unused } = await readLabels(path);
  if (unused.length > 0) note(`Columns of ${table} that are not used: ${unused.slice(0, 10).join(', ')}.`);
  const files = await filesBelow(root, table, tally);
  const find = finderOf(root, files);
  const rowsOf = new Map<string, LabelRow[]>();
  for (const row of rows) {
    const found = find(row.path);
    if (typeof found === 'string') rowsOf.set(found, [...(rowsOf.get(found) ?? []), row]);
    else
      yield withShortPath(refusedFile(`${row.path} (row ${row.row})`, found.reason, `Row ${row.row}: ${found.detail}`));
  }
  noteRepeats([...rowsOf.values()], table, note);
  for (const file of files.values()) {
    yield withShortPath(file.refusal ? file : labelledBy(file.path, rowsOf.get(file.path) ?? [], table));
  }
}

/** The folders mean nothing: the table has the labels. */
const noLayout: SourceLayout = { roots: [], splitFolders: [], wrapper: null, fault: null };

async function filesBelow(root: string, table: string, tally: ScanTally): Promise<Map<string, FoundFile>> {
  const files = new Map<string, FoundFile>();
  const walked = { root: bytePath(root), layout: noLayout, existingSplit: null, tally };
  for await (const file of walkFolder(walked, (file) => ({ path: file, label: null }))) {
    if (file.path !== table) files.set(file.path, file);
  }
  return files;
}

type Lost = { reason: 'unsafe_entry' | 'unreadable'; detail: string };

/** Finds the file of a row: by its path, or by a name without folders that only one file has. */
function finderOf(root: string, files: ReadonlyMap<string, FoundFile>): (named: string) => string | Lost {
  const byName = new Map<string, string[]>();
  for (const path of files.keys()) {
    const name = posix.basename(path);
    byName.set(name, [...(byName.get(name) ?? []), path]);
  }
  return (named) => {
    if (files.has(named)) return named;
    const slashed = named.replaceAll('\\', '/');
    const below = slashed.startsWith(`${root}/`) ? slashed.slice(root.length + 1) : slashed;
    const path = posix.normalize(below);
    if (path.startsWith('/') || path === '..' || path.startsWith('../') || /^[a-z]:/i.test(path)) {
      return { reason: 'unsafe_entry', detail: `${named} is outside the folder of the table. Name files below it.` };
    }
    if (files.has(path)) return path;
    const [only, ...others] = path.includes('/') ? [] : (byName.get(path) ?? []);
    if (only === undefined) return { reason: 'unreadable', detail: `there is no file ${named || 'without a name'}.` };
    if (others.length === 0) return only;
    const detail = `${others.length + 1} files are called ${named}. Name the folder too, such as ${only}.`;
    return { reason: 'unreadable', detail };
  };
}

function labelledBy(path: string, [first, ...others]: readonly LabelRow[], table: string): FoundFile {
  if (!first) return refusedFile(path, 'not_listed', `${table} has no row for this file.`);
  const other = others.find(({ label }) => label !== first.label);
  if (!other) return labelledFile(path, first.label, `label in row ${first.row}`);
  const detail = `Row ${first.row} of ${table} calls it “${first.label}”, row ${other.row} “${other.label}”. Leave one row.`;
  return refusedFile(path, 'bad_label', detail);
}

function noteRepeats(groups: readonly (readonly LabelRow[])[], table: string, note: (text: string) => void): void {
  const repeats = groups.flatMap(([first, ...others]) => others.filter(({ label }) => label === first?.label));
  if (repeats.length === 0) return;
  const some = repeats.slice(0, 5).map(({ row }) => row);
  note(
    `${repeats.length} rows of ${table} repeat an earlier one: ${some.join(', ')}${repeats.length > 5 ? ', …' : ''}.`,
  );
}
