import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { systemCodeOf } from '../../../contracts/errors.js';
import { bytesIn } from '../bytes-in.js';

/** An image to be stored. */
const sentInputSchema = z.object({
  predictionId: z.uuid(),
  modelName: z.string(),
  imageSha256: z.string(),
  contentType: z.string(),
  expiresAt: z.string(),
});
export type SentInput = z.output<typeof sentInputSchema> & { bytes: Uint8Array };

/** Images on disk that could not be stored, each a file: a line of JSON, then the bytes. */
export interface InputSpool {
  /** False if the spool is full. */
  put(input: SentInput): Promise<boolean>;
  /** Names of the waiting files, oldest predictions first, including those of dead processes. */
  waiting(): Promise<string[]>;
  /** Null for a missing or foreign file. Throws if it cannot be read, for example with too many open files. */
  read(name: string): Promise<SentInput | null>;
  remove(name: string): Promise<void>;
}

const suffix = '.input';
const partialSuffix = '.part';
/** A partial file older than this belongs to a dead process. */
const partialAgeMs = 3_600_000;

/**
 * A spool in `folder`, which processes of one machine may share: storing an image twice is idempotent. `maxBytes` is the
 * most that a process adds to what it found at its start.
 */
export function createInputSpool(folder: string, maxBytes: number): InputSpool {
  let known: Promise<number> | null = null;
  let held = 0;
  const found = (): Promise<number> => (known ??= bytesIn(folder));
  return {
    async put(input) {
      const { bytes, ...facts } = input;
      const content = Buffer.concat([Buffer.from(`${JSON.stringify(facts)}\n`), bytes]);
      if ((await found()) + held + content.length > maxBytes) return false;
      held += content.length;
      // Write atomically: the process may be killed at any time.
      const partial = join(folder, `${randomUUID()}${partialSuffix}`);
      try {
        await mkdir(folder, { recursive: true });
        await writeFile(partial, content);
        await rename(partial, join(folder, `${input.predictionId}${suffix}`));
      } catch (error) {
        held -= content.length;
        await rm(partial, { force: true }).catch(() => undefined);
        throw error;
      }
      return true;
    },
    async waiting() {
      const names = await readdir(folder).catch(() => []);
      for (const name of names) if (name.endsWith(partialSuffix)) await removeLeft(join(folder, name));
      // Other processes of this machine remove files too.
      if (names.length === 0) [known, held] = [Promise.resolve(0), 0];
      return names.filter((name) => name.endsWith(suffix)).sort();
    },
    async read(name) {
      const content = await readFile(join(folder, name)).catch((error: unknown) => {
        if (isMissing(error)) return null;
        throw error;
      });
      return content && parse(content);
    },
    async remove(name) {
      const path = join(folder, name);
      const { size } = await stat(path).catch(() => ({ size: 0 }));
      await rm(path, { force: true });
      held -= size;
    },
  };
}

function isMissing(error: unknown): boolean {
  return systemCodeOf(error) === 'ENOENT';
}

/** Removes partial files of dead processes, which would stay otherwise. */
async function removeLeft(path: string): Promise<void> {
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }));
  if (mtimeMs < Date.now() - partialAgeMs) await rm(path, { force: true });
}

function parse(content: Buffer): SentInput | null {
  const end = content.indexOf('\n');
  if (end === -1) return null;
  try {
    const head: unknown = JSON.parse(content.toString('utf8', 0, end));
    const facts = sentInputSchema.safeParse(head);
    return facts.success ? { ...facts.data, bytes: content.subarray(end + 1) } : null;
  } catch {
    return null;
  }
}
