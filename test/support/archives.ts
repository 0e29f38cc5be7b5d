import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { pack, type Header } from 'tar-stream';

export interface ZipFileEntry {
  name: string | Buffer;
  content?: Uint8Array | string;
  /** 0 stores, 8 deflates; others are written as they are. */
  method?: number;
  flags?: number;
  /** Unix mode with type bits. */
  mode?: number;
  crc?: number;
  /** What the directory says; zip64 fields are written when it is null. */
  declaredBytes?: number | null;
}

const zip64 = 0xffffffff;

/** A zip file, also one that no packer would write. */
export function zipOf(entries: readonly ZipFileEntry[]): Buffer {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const name = Buffer.from(entry.name);
    const content = Buffer.from(entry.content ?? '');
    const method = entry.method ?? 8;
    const data = method === 8 ? deflateRawSync(content) : content;
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(entry.flags ?? 0, 2);
    fields.writeUInt16LE(method, 4);
    fields.writeUInt32LE(entry.crc ?? crc32(content), 10);
    fields.writeUInt32LE(data.length, 14);
    const isLarge = entry.declaredBytes === null;
    fields.writeUInt32LE(isLarge ? zip64 : (entry.declaredBytes ?? content.length), 18);
    fields.writeUInt16LE(name.length, 22);
    bodies.push(Buffer.from('504b0304', 'hex'), fields, name, data);
    directory.push(
      directoryEntry(fields, name, { mode: entry.mode ?? 0, offset, size: isLarge ? content.length : null }),
    );
    offset += 4 + fields.length + name.length + data.length;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(listing.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...bodies, listing, Buffer.from('504b0506', 'hex'), end]);
}

function directoryEntry(
  fields: Buffer,
  name: Buffer,
  { mode, offset, size }: { mode: number; offset: number; size: number | null },
): Buffer {
  const extra = size === null ? Buffer.alloc(0) : Buffer.alloc(12);
  if (size !== null) {
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(8, 2);
    extra.writeBigUInt64LE(BigInt(size), 4);
  }
  const head = Buffer.alloc(4 + 2);
  head.write('504b0102', 'hex');
  // Made by Unix, so that the mode counts.
  head.writeUInt16LE(0x0314, 4);
  const tail = Buffer.alloc(14);
  tail.writeUInt32LE((mode << 16) >>> 0, 6);
  tail.writeUInt32LE(offset, 10);
  const sized = Buffer.from(fields);
  sized.writeUInt16LE(extra.length, 24);
  return Buffer.concat([head, sized, tail, name, extra]);
}

export type TarFileEntry = Partial<Header> & { name: string; content?: Uint8Array | string };

/** A tar file, gzipped or not. */
export async function tarOf(entries: readonly TarFileEntry[], { gzip = false } = {}): Promise<Buffer> {
  const packed = pack();
  for (const { content = '', ...header } of entries) packed.entry(header, Buffer.from(content));
  packed.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of packed) if (chunk instanceof Uint8Array) chunks.push(chunk);
  const whole = Buffer.concat(chunks);
  return gzip ? gzipSync(whole) : whole;
}
