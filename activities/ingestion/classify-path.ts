import { labelSchema, type SkippedKind } from '../../contracts/datasets/datasets.js';
import { clutterKind } from '../../domain/datasets/clutter.js';
import { maxPathBytes, shortenPath } from '../../domain/datasets/shorten-path.js';
import type { FoundFile } from '../../stores/datasets/scan-rows.js';

/** The kind of clutter that a path leads through, or null. */
export function clutterOfPath(path: string): SkippedKind | null {
  for (const name of path.split('/')) {
    const kind = clutterKind(name);
    if (kind !== null) return kind;
  }
  return null;
}

/** A file under the label that a name stands for, or refused because the name is no label. `what` is the kind of name. */
export function labelledFile(path: string, name: string, what: string): FoundFile {
  const label = labelSchema.safeParse(name);
  if (label.success) return { path, label: label.data };
  const why = label.error.issues.map(({ message }) => message).join('; ');
  return refusedFile(path, 'bad_label', `The ${what} is not a valid label: ${why}`);
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
