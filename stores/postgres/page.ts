import { nameSchema } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';

export interface Page<T> {
  items: T[];
  nextPageToken: string | null;
}

/** The sequence number below which a page begins. Throws `bad_request` for an invalid token. */
export function sequenceOfToken(token: string | null | undefined): number | null {
  if (token === undefined || token === null) return null;
  if (!/^[1-9]\d{0,14}$/.test(token)) {
    throw new PerennialError('bad_request', 'The page token is invalid for this list. Start again without it.');
  }
  return Number(token);
}

/** A page of at most `limit` items, from `limit + 1` selected rows, newest first. */
export function pageBy<T>(rows: readonly T[], limit: number, sequenceOf: (row: T) => number): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextPageToken: rows.length > limit && last !== undefined ? String(sequenceOf(last)) : null };
}

/** As `pageBy`, for items that do not hold their sequence number. */
export function pageOfRows<T>(rows: readonly { sequence: number; item: T }[], limit: number): Page<T> {
  const { items, nextPageToken } = pageBy(rows, limit, ({ sequence }) => sequence);
  return { items: items.map(({ item }) => item), nextPageToken };
}

/** Checks the page token of a list sorted by name, which is a name. Throws `bad_request` for an invalid one. */
export function checkNameToken(token: string | null | undefined): void {
  if (token === undefined || token === null || nameSchema.safeParse(token).success) return;
  throw new PerennialError('bad_request', 'The page token is invalid for this list. Start again without it.');
}
