import { randomUUID } from 'node:crypto';
import { appendFile, mkdir, open, readdir, readFile, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { predictionRecordSchema, type PredictionRecord } from '../../../contracts/predictions/predictions.js';
import { isAlive } from '../../../platform/own-scratch-folder.js';

/** A segment older than this is nobody's open one: those are closed after a minute. */
const abandonedAfterMs = 10 * 60_000;
const segmentName = /^(\d+)-[0-9a-f-]{36}\.jsonl$/;

/** A file of the journal that is being written. */
export interface OpenSegment {
  readonly path: string;
  append(predictions: readonly PredictionRecord[]): Promise<void>;
  close(): Promise<void>;
}

/** Predictions on disk, one JSON object a line, in files that are written once and removed when Postgres has them. */
export interface PredictionJournal {
  open(): Promise<OpenSegment>;
  /**
   * Whole lines of a file; none when another process of this machine has taken it over. `torn` counts lines that are
   * not whole: a killed process leaves at most the last one.
   */
  read(path: string): Promise<{ predictions: PredictionRecord[]; torn: number }>;
  remove(path: string): Promise<void>;
  /** Puts a prediction aside that Postgres will never take, for a person to look at. */
  setAside(prediction: PredictionRecord): Promise<void>;
  /** Files of processes that are gone, this one's former life included. */
  abandoned(): Promise<string[]>;
}

/** A journal in `folder`, which processes of one machine may share: names begin with the id of the process. */
export function createPredictionJournal(folder: string): PredictionJournal {
  const ours = new Set<string>();
  return {
    async open() {
      await mkdir(folder, { recursive: true });
      const path = join(folder, `${process.pid}-${randomUUID()}.jsonl`);
      const handle = await open(path, 'a');
      ours.add(path);
      return openSegment(path, handle);
    },
    async read(path) {
      const text = await unlessGone(readFile(path, 'utf8'));
      return parseLines(text ?? '');
    },
    async remove(path) {
      await rm(path, { force: true });
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

function openSegment(path: string, handle: FileHandle): OpenSegment {
  return {
    path,
    append: (predictions) => handle.appendFile(predictions.map(lineOf).join('')),
    close: () => handle.close(),
  };
}

async function unlessGone<T>(wanted: Promise<T>): Promise<T | null> {
  try {
    return await wanted;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
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

async function ifAbandoned(folder: string, name: string, ours: ReadonlySet<string>): Promise<string[]> {
  const pid = segmentName.exec(name)?.[1];
  const path = join(folder, name);
  if (pid === undefined || ours.has(path)) return [];
  // In a container every life of the API may have the same id.
  if (Number(pid) === process.pid || !isAlive(Number(pid))) return [path];
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }));
  return Date.now() - mtimeMs > abandonedAfterMs ? [path] : [];
}
