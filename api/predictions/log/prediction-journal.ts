import { randomUUID } from 'node:crypto';
import { appendFile, mkdir, open, readdir, readFile, stat, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCodeOf } from '../../../contracts/errors.js';
import { predictionRecordSchema, type PredictionRecord } from '../../../contracts/predictions/predictions.js';
import { isAlive } from '../../../platform/process-temp-folder.js';
import { bytesIn } from '../bytes-in.js';

/** A segment older than this belongs to a dead process: open ones are closed after a minute. */
const abandonedAfterMs = 10 * 60_000;
const segmentName = /^(\d+)-[0-9a-f-]{36}\.jsonl$/;

/** The open file of the journal. */
export interface OpenSegment {
  readonly path: string;
  append(predictions: readonly PredictionRecord[]): Promise<void>;
  close(): Promise<void>;
}

/** Predictions on disk as JSON lines, in append-only files that are removed once Postgres has their rows. */
export interface PredictionJournal {
  open(): Promise<OpenSegment>;
  /**
   * Complete lines of a file; none if another process of this machine has adopted it. `torn` counts incomplete lines: a
   * killed process leaves at most the last one.
   */
  read(path: string): Promise<{ predictions: PredictionRecord[]; torn: number }>;
  remove(path: string): Promise<void>;
  /** Sets aside a prediction that Postgres refuses, for the operator. */
  setAside(prediction: PredictionRecord): Promise<void>;
  /** Files of dead processes, including earlier processes with this id. */
  abandoned(): Promise<string[]>;
}

/** Throws if the journal, with so many bytes, may not grow. */
export type RequireRoom = (journalBytes: number) => Promise<void>;

/** A journal in `folder`, which processes of one machine may share: file names start with the process id. */
export function createPredictionJournal(folder: string, requireRoom: RequireRoom): PredictionJournal {
  /** Our files with their bytes. Counted here, because looking at the disk would delay every new file. */
  const ours = new Map<string, number>();
  let others = 0;
  void bytesIn(folder).then((bytes) => (others = bytes));
  return {
    async open() {
      await requireRoom([...ours.values()].reduce((sum, bytes) => sum + bytes, others));
      const path = join(folder, `${process.pid}-${randomUUID()}.jsonl`);
      const handle = await openIn(folder, path);
      ours.set(path, 0);
      return openSegment(path, handle, (bytes) => ours.set(path, (ours.get(path) ?? 0) + bytes));
    },
    async read(path) {
      const text = await unlessGone(readFile(path, 'utf8'));
      return parseLines(text ?? '');
    },
    async remove(path) {
      if (!ours.has(path)) others -= Math.min(others, await sizeOf(path));
      await unlessGone(unlink(path));
      ours.delete(path);
    },
    setAside: (prediction) => appendFile(join(folder, 'refused.jsonl'), lineOf(prediction)),
    async abandoned() {
      const names = await readdir(folder).catch(() => []);
      const paths = await Promise.all(names.map((name) => ifAbandoned(folder, name, ours)));
      return paths.flat().sort();
    },
  };
}

/** Opens a new file in a folder, which is made only where it is missing: files are opened several times a second. */
async function openIn(folder: string, path: string): Promise<FileHandle> {
  const handle = await unlessGone(open(path, 'a'));
  if (handle !== null) return handle;
  await mkdir(folder, { recursive: true });
  return open(path, 'a');
}

function openSegment(path: string, handle: FileHandle, count: (bytes: number) => void): OpenSegment {
  return {
    path,
    append(predictions) {
      const bytes = Buffer.from(predictions.map(lineOf).join(''));
      count(bytes.length);
      return handle.appendFile(bytes);
    },
    close: () => handle.close(),
  };
}

async function unlessGone<T>(wanted: Promise<T>): Promise<T | null> {
  try {
    return await wanted;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

function lineOf(prediction: PredictionRecord): string {
  return `${JSON.stringify(prediction)}\n`;
}

function parseLines(text: string): { predictions: PredictionRecord[]; torn: number } {
  const lines = text.split('\n').filter((line) => line !== '');
  const predictions = lines.flatMap((line) => {
    const parsed = predictionRecordSchema.safeParse(parseJson(line));
    return parsed.success ? [parsed.data] : [];
  });
  return { predictions, torn: lines.length - predictions.length };
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

async function ifAbandoned(folder: string, name: string, ours: ReadonlyMap<string, number>): Promise<string[]> {
  const pid = segmentName.exec(name)?.[1];
  const path = join(folder, name);
  if (pid === undefined || ours.has(path)) return [];
  // In a container every API process may have the same pid.
  if (Number(pid) === process.pid || !isAlive(Number(pid))) return [path];
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }));
  return Date.now() - mtimeMs > abandonedAfterMs ? [path] : [];
}
