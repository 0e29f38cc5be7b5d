import { crc32 } from 'node:zlib';
import { getFileNameLowLevel, openPromise, type Entry, type ZipFile } from 'yauzl';
import { messageOf } from '../../../contracts/errors.js';
import { readWithin, tooLarge, type SourceBytes } from '../source-bytes.js';
import { archiveRefused, entryPath, UnpackedCount, utf8Text, type ArchiveEntry } from './archive-entry.js';

/** The files of a zip, in the order of its directory. Throws `archive_invalid` for one that is damaged or a bomb. */
export async function* zipEntries(path: string, sizeBytes: number, maxFileBytes: number): AsyncGenerator<ArchiveEntry> {
  const zip = await openZip(path);
  try {
    const count = new UnpackedCount(sizeBytes);
    for await (const entry of entriesOf(zip)) {
      count.addEntry();
      // Entries may share their compressed bytes, so what the directory says is added up.
      count.addBytes(entry.uncompressedSize);
      if (!isFolder(entry)) yield toEntry(zip, entry, maxFileBytes);
    }
  } finally {
    zip.close();
  }
}

async function openZip(path: string): Promise<ZipFile> {
  try {
    // Names are decoded here, because one bad name would end the whole list.
    return await openPromise(path, { autoClose: false, decodeStrings: false });
  } catch (error) {
    throw damaged(error);
  }
}

async function* entriesOf(zip: ZipFile): AsyncGenerator<Entry> {
  const entries = zip.eachEntry();
  for (;;) {
    const next = await entries.next().catch((error: unknown) => {
      throw damaged(error);
    });
    if (next.done === true) return;
    yield next.value;
  }
}

function damaged(error: unknown): Error {
  return archiveRefused(`it is not a complete zip file (${messageOf(error)}). Make or send it again.`, error);
}

const typeBits = 0o170000;
const fileType = 0o100000;
const folderType = 0o040000;

/** Type bits of the entry's Unix mode; 0 if the packing system gave none. */
function unixType({ externalFileAttributes }: Entry): number {
  return (externalFileAttributes >>> 16) & typeBits;
}

function isFolder(entry: Entry): boolean {
  const last = entry.fileNameRaw.at(-1);
  return last === 0x2f || last === 0x5c || unixType(entry) === folderType;
}

function toEntry(zip: ZipFile, entry: Entry, maxFileBytes: number): ArchiveEntry {
  const name = nameOf(entry);
  const named = entryPath(name ?? entry.fileNameRaw.toString('latin1'), name !== null);
  const type = unixType(entry);
  const isFile = type === 0 || type === fileType;
  return {
    ...named,
    sizeBytes: entry.uncompressedSize,
    refusal: named.refusal ?? (isFile ? null : 'This is a link or a device. Pack the file itself.'),
    read: () => readEntry(zip, entry, maxFileBytes),
  };
}

/** Id of the extra field in which Info-ZIP keeps a name in UTF-8. */
const unicodePath = 0x7075;

/**
 * A name is UTF-8 if its bytes are: macOS and others do not set the flag. The code page of other names is not known, and a
 * wrong guess would be a wrong label.
 */
function nameOf(entry: Entry): string | null {
  const { fileNameRaw, generalPurposeBitFlag, extraFields } = entry;
  if (!extraFields.some(({ id }) => id === unicodePath)) return utf8Text(fileNameRaw);
  return getFileNameLowLevel(generalPurposeBitFlag, fileNameRaw, extraFields, false);
}

async function readEntry(zip: ZipFile, entry: Entry, maxFileBytes: number): Promise<SourceBytes> {
  if (entry.isEncrypted()) return unreadable('The file is encrypted. Pack it without a password.');
  if (!entry.canDecodeFileData()) {
    return unreadable(`The file is packed by method ${entry.compressionMethod}. Pack it with Deflate, the usual one.`);
  }
  if (entry.uncompressedSize > maxFileBytes) return tooLarge(entry.uncompressedSize, maxFileBytes);
  try {
    const bytes = await readWithin(await zip.openReadStreamPromise(entry), maxFileBytes);
    if (bytes !== null && crc32(bytes) === entry.crc32) return { bytes };
    return unreadable('The checksum of the file differs: the archive is damaged here.');
  } catch (error) {
    return unreadable(`The archive is damaged here: ${messageOf(error)}`);
  }
}

function unreadable(detail: string): SourceBytes {
  return { reason: 'unreadable', detail };
}
