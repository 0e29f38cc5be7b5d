import { open } from 'node:fs/promises';
import { archiveRefused, type ArchiveEntry } from './archive-entry.js';
import { tarEntries } from './tar-entries.js';
import { zipEntries } from './zip-entries.js';

/** Bytes that tell the formats apart; the mark of a tar comes last. */
const headBytes = 512;
const tarMark = { offset: 257, text: 'ustar' } as const;

/** Formats that are not read, by their first bytes in hexadecimal. */
const otherFormats: readonly (readonly [string, string])[] = [
  ['377abcaf271c', '7z'],
  ['52617221', 'RAR'],
  ['425a68', 'bzip2'],
  ['fd377a585a00', 'xz'],
  ['28b52ffd', 'Zstandard'],
];

/**
 * The files of a zip, tar or gzipped tar, whatever its name. Nothing is unpacked to the disk. Throws `archive_invalid` for another
 * format, a damaged archive or a bomb.
 */
export async function* archiveEntries(path: string, maxFileBytes: number): AsyncGenerator<ArchiveEntry> {
  const { head, sizeBytes } = await headOf(path);
  const hex = head.toString('hex');
  if (/^504b(?:0304|0506)/.test(hex)) yield* zipEntries(path, sizeBytes, maxFileBytes);
  else if (hex.startsWith('1f8b')) yield* tarEntries({ path, sizeBytes, isGzipped: true, maxFileBytes });
  else if (isTar(head)) yield* tarEntries({ path, sizeBytes, isGzipped: false, maxFileBytes });
  else {
    const format = otherFormats.find(([mark]) => hex.startsWith(mark))?.[1];
    throw archiveRefused(
      `it is ${format === undefined ? 'no archive' : `a ${format} file`}. Make a zip, a tar or a tar.gz of the class folders.`,
    );
  }
}

async function headOf(path: string): Promise<{ head: Buffer; sizeBytes: number }> {
  const file = await open(path);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0);
    return { head: buffer.subarray(0, bytesRead), sizeBytes: (await file.stat()).size };
  } finally {
    await file.close();
  }
}

function isTar(head: Buffer): boolean {
  return head.toString('latin1', tarMark.offset, tarMark.offset + tarMark.text.length) === tarMark.text;
}
