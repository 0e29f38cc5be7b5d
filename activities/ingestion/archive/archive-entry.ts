import { PerennialError } from '../../../contracts/errors.js';
import type { SourceBytes } from '../source-bytes.js';

/** A file in an archive. Folders are no entries. */
export interface ArchiveEntry {
  /** Path below the root of the archive with slashes, or a name that leads out of it. */
  path: string;
  leadsOut: boolean;
  sizeBytes: number;
  /** Why it is not read: its name or its kind. */
  refusal: string | null;
  /** Its content, which is read before the next entry is asked for, or not at all. */
  read: () => Promise<SourceBytes>;
}

/**
 * What an archive may hold. Photographs hardly shrink, so one that unpacks to a hundred times its size is no set of images;
 * `freeBytes` lets a small archive of drawings pass.
 */
export const archiveLimits = { entries: 200_000, ratio: 100, freeBytes: 100_000_000 } as const;

/** An archive that is refused as a whole, before anything of it is stored. */
export function archiveRefused(why: string, cause?: unknown): PerennialError {
  return new PerennialError('archive_invalid', `The archive is refused: ${why}`, { cause });
}

/** Counts what an archive unpacks to. Throws `archive_invalid` past a limit. */
export class UnpackedCount {
  private entries = 0;
  private bytes = 0;
  private readonly mostBytes: number;

  constructor(archiveBytes: number) {
    this.mostBytes = Math.max(archiveLimits.freeBytes, archiveBytes * archiveLimits.ratio);
  }

  addEntry(): void {
    this.entries += 1;
    if (this.entries <= archiveLimits.entries) return;
    throw archiveRefused(`it has more than ${archiveLimits.entries} entries. Split it into several archives.`);
  }

  addBytes(count: number): void {
    this.bytes += count;
    if (this.bytes <= this.mostBytes) return;
    throw archiveRefused(
      `it unpacks to more than ${this.mostBytes} bytes, ${archiveLimits.ratio} times its size, as images do not. Send the images without other files.`,
    );
  }
}

/**
 * A name in an archive as a path below its root, or why it is refused. Backslashes are those of Windows. A name that is not
 * UTF-8 is refused as well, and its place is kept: it says which folders are classes.
 */
export function entryPath(name: string, isUtf8: boolean): Pick<ArchiveEntry, 'path' | 'leadsOut' | 'refusal'> {
  const shown = name.replaceAll('\0', '\ufffd');
  const slashed = shown.replaceAll('\\', '/');
  const segments = slashed.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (slashed.startsWith('/') || /^[a-z]:/i.test(slashed) || segments.includes('..') || segments.length === 0) {
    const refusal = 'The name leads out of the archive: it is absolute or has “..” in it.';
    return { path: shown, leadsOut: true, refusal };
  }
  const refusal = isUtf8 && shown === name ? null : 'The name is not UTF-8. Pack the files again with UTF-8 names.';
  return { path: segments.join('/'), leadsOut: false, refusal };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of UTF-8 bytes; null for other bytes. */
export function utf8Text(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}
