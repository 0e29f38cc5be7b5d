import { once } from 'node:events';
import { cpus } from 'node:os';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { timed } from './table.js';

/** Where the images that a thread inspects are kept; rows are written if there is an ingestion. */
const keepSchema = z.object({ environment: z.record(z.string(), z.string()), ingestionId: z.string().nullable() });
export type Keep = z.infer<typeof keepSchema>;

/** Work that one thread does as fast as the machine can: no message for each image, and nothing is kept unless it says so. */
export const limitSchema = z.discriminatedUnion('kind', [
  /** Read, decode and hash files, as an ingestion must. */
  z.object({ kind: z.literal('inspect'), paths: z.array(z.string()), keep: keepSchema.optional() }),
  /** Run a graph on pixels that are decoded already. */
  z.object({
    kind: z.literal('infer'),
    graph: z.custom<Uint8Array>((value) => value instanceof Uint8Array),
    runs: z.number(),
  }),
]);
export type Limit = z.infer<typeof limitSchema>;

/** Threads on all cores, ready to work. */
export interface LimitThreads {
  /** Lets all threads do their work once; the time until the last one has. */
  run(): Promise<number>;
  end(): Promise<void>;
}

/** Starts one thread a core; `shareOf` says what the thread `core` of `cores` does. */
export async function startLimit(shareOf: (core: number, cores: number) => Limit): Promise<LimitThreads> {
  const cores = cpus().length;
  const threads = Array.from(
    { length: cores },
    (_, core) => new Worker(new URL('./limit-thread.js', import.meta.url), { workerData: shareOf(core, cores) }),
  );
  await Promise.all(threads.map((thread) => once(thread, 'message')));
  return {
    async run() {
      const [, ms] = await timed(() =>
        Promise.all(
          threads.map(async (thread) => {
            thread.postMessage('go');
            await once(thread, 'message');
          }),
        ),
      );
      return ms;
    },
    async end() {
      await Promise.all(threads.map((thread) => thread.terminate()));
    },
  };
}
