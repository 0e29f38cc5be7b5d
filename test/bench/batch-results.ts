import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { asyncBufferFromFile, parquetMetadataAsync } from 'hyparquet';
import type { BatchView } from '../support/batch-fixture.js';
import type { TestStack } from '../support/stack.js';
import type { MemoryWatch } from './processes.js';
import { seconds, timed, type Figure } from './table.js';

/** Downloads the results in every format: measures time and API memory, and checks that each image occurs once. */
export async function inspectResults(stack: TestStack, job: BatchView, memory: MemoryWatch): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-bench-batch-'));
  try {
    const figures: Figure[] = [];
    for (const { format, url, sha256, size_bytes: bytes } of job.results) {
      const path = join(folder, `results.${format}`);
      const before = (await memory.now()).get('api') ?? 0;
      const [digest, ms] = await timed(() => download(stack.apiUrl + url, path));
      const after = (await memory.now()).get('api') ?? 0;
      if (digest !== sha256) throw new Error(`the ${format} results have the SHA-256 ${digest}, not ${sha256}`);
      figures.push({
        what: `results as ${format}, ${(bytes / 1e6).toFixed(1)} MB`,
        value: `${seconds(ms)}, ${await rowsOf(format, path)} rows; API ${before.toFixed(0)} MB before, ${after.toFixed(0)} MB after`,
        target: `${job.done} rows`,
      });
    }
    return figures;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function download(url: string, path: string): Promise<string> {
  const { body } = await fetch(url);
  if (!body) throw new Error(`${url} has no body`);
  await pipeline(Readable.fromWeb(body), createWriteStream(path));
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

async function rowsOf(format: string, path: string): Promise<number> {
  if (format === 'parquet') return Number((await parquetMetadataAsync(await asyncBufferFromFile(path))).num_rows);
  // Names of these images contain no line breaks: a row is a line, and begins with its number.
  const pattern = format === 'csv' ? /^(\d+),/ : /^\{"item":(\d+),/;
  let rows = 0;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const item = pattern.exec(line)?.[1];
    if (item === undefined) continue;
    if (Number(item) !== rows) throw new Error(`${path} has image ${item} where ${rows} belongs`);
    rows += 1;
  }
  return rows;
}
