import { z } from 'zod';

/** A timestamp column as ISO text, the format of times at every boundary. */
export const timestampColumn = z.date().transform((date) => date.toISOString());

/** A bigint or numeric column, which the driver returns as text because it may exceed a double. */
export const integerColumn = z.coerce.number().refine(Number.isSafeInteger, 'too large for a JavaScript number');

/** Combines the failure columns of a row into `error`. */
export function errorOf(row: {
  errorCode: string | null;
  errorMessage: string | null;
}): { code: string; message: string } | null {
  return row.errorCode === null ? null : { code: row.errorCode, message: row.errorMessage ?? '' };
}

/** JSON text for a jsonb parameter: the driver would turn a JavaScript array into a Postgres array. */
export function jsonParameter(value: unknown): string | null {
  return value === undefined || value === null ? null : JSON.stringify(value);
}
