import { createReadStream } from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract, type Extract, type Header } from 'tar-stream';
import { messageOf, PerennialError } from '../../../contracts/errors.js';
import { readWithin, tooLarge, type SourceBytes } from '../source-bytes.js';
import { archiveRefused, entryPath, UnpackedCount, type ArchiveEntry } from './archive-entry.js';

export interface TarOptions {
  path: string;
  sizeBytes: number;
  isGzipped: boolean;
  maxFileBytes: number;
}

/** The files of a tar, in their order. Throws `archive_invalid` for one that is damaged or a bomb. */
export async function* tarEntries(options: TarOptions): AsyncGenerator<ArchiveEntry> {
  const count = new UnpackedCount(options.sizeBytes);
  const unpacked = extract();
  const piped = pump(options, count, unpacked);
  // Its failure reaches the loop too, and is thrown there.
  piped.catch(() => undefined);
  try {
    for await (const entry of unpacked) {
      count.addEntry();
      if (entry.header.type !== 'directory') yield toEntry(entry, options.maxFileBytes);
      // What nobody read must flow past, or the next entry does not come.
      entry.resume();
    }
    await piped;
  } catch (error) {
    if (error instanceof PerennialError) throw error;
    throw archiveRefused(`it is not a complete tar file (${messageOf(error)}). Make or send it again.`, error);
  } finally {
    unpacked.destroy();
  }
}

function pump({ path, isGzipped }: TarOptions, count: UnpackedCount, unpacked: Extract): Promise<void> {
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      try {
        count.addBytes(chunk.byteLength);
        done(null, chunk);
      } catch (error) {
        done(error instanceof Error ? error : new Error(messageOf(error)));
      }
    },
  });
  const packed = createReadStream(path);
  return isGzipped ? pipeline(packed, createGunzip(), counter, unpacked) : pipeline(packed, counter, unpacked);
}

const replaced = '\ufffd';

type Entry = AsyncIterable<unknown> & { header: Header };

function toEntry(entry: Entry, maxFileBytes: number): ArchiveEntry {
  const { name, type, size } = entry.header;
  const named = entryPath(name, !name.includes(replaced));
  const isFile = type === 'file' || type === 'contiguous-file';
  return {
    ...named,
    sizeBytes: size,
    refusal: named.refusal ?? (isFile ? null : 'This is a link, a device or a sparse file. Pack the file itself.'),
    read: () => readEntry(entry, size, maxFileBytes),
  };
}

async function readEntry(entry: Entry, size: number, maxFileBytes: number): Promise<SourceBytes> {
  if (size > maxFileBytes) return tooLarge(size, maxFileBytes);
  const bytes = await readWithin(entry, maxFileBytes);
  return bytes === null ? tooLarge(size, maxFileBytes) : { bytes };
}
