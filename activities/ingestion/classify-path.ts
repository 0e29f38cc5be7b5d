import { labelSchema } from '../../contracts/datasets/datasets.js';
import { maxPathBytes, shortenPath } from '../../domain/datasets/shorten-path.js';
import type { FoundFile } from '../../stores/datasets/ingestions.js';

/** Files and folders that Windows Explorer and the macOS archiver create. */
const ignoredNames = new Set(['thumbs.db', 'desktop.ini', '__macosx']);

/** Whether a file or folder of this name is no part of a dataset: hidden, or left by a system. */
export function isIgnoredName(name: string): boolean {
  return name.startsWith('.') || ignoredNames.has(name.toLowerCase());
}

/**
 * The file at a path below the root of a source, with the label of the class folder it lies in, or why it has none. The
 * rules are the same for folders, archives and buckets. `where` is the path below the class folders, if that is another.
 */
export function classifyPath(path: string, where = path): FoundFile {
  const end = where.indexOf('/');
  if (end < 0) {
    return refusedFile(
      path,
      'bad_label',
      'The file is outside the class folders. Move it into the folder of its class.',
    );
  }
  return labelledFile(path, where.slice(0, end), 'The folder name');
}

/** A file with a label, or with the reason why that is no label. `whose` begins the sentence about it. */
export function labelledFile(path: string, name: string, whose: string): FoundFile {
  const label = labelSchema.safeParse(name.normalize('NFC'));
  if (label.success) return { path, label: label.data };
  const why = label.error.issues.map(({ message }) => message).join('; ');
  return refusedFile(path, 'bad_label', `${whose} is not a valid label: ${why}`);
}

/** A file that is refused without reading it. */
export function refusedFile(
  path: string,
  reason: NonNullable<FoundFile['refusal']>['reason'],
  detail: string,
): FoundFile {
  return { path, label: null, refusal: { reason, detail } };
}

/** Refuses a file whose path is too long for the database: under a shortened path it could not be read again. */
export function withShortPath(file: FoundFile): FoundFile {
  const path = shortenPath(file.path);
  if (path === file.path) return file;
  const detail = `The path has more than ${maxPathBytes} bytes. Move the file to a shorter path.`;
  return { path, label: null, refusal: file.refusal ?? { reason: 'unreadable', detail } };
}
