import type { Request } from 'express';
import { PerennialError } from '../../contracts/errors.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';

/** ETag of a version. It contains the version number, because an alias serves different versions under one address. */
export function revisionTag({ version, revision }: Pick<ModelVersion, 'version' | 'revision'>): string {
  return `"${version}.${revision}"`;
}

/**
 * The revisions of a version that `If-Match` allows; null without the header or for `*`. A tag of another version allows
 * none.
 */
export function allowedRevisions(request: Request, version: number): number[] | null {
  const header = request.get('if-match')?.trim();
  if (header === undefined || header === '*') return null;
  const tags = header.split(',').map((tag) => /^"(\d{1,9})\.(\d{1,9})"$/.exec(tag.trim()));
  if (tags.every((tag) => tag === null)) {
    throw new PerennialError(
      'precondition_failed',
      'If-Match holds no ETag of a version. Send the one of the last GET.',
    );
  }
  return tags.flatMap((tag) => (tag && Number(tag[1]) === version ? [Number(tag[2])] : []));
}
