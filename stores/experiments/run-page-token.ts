import { hash } from 'node:crypto';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { fieldGroups, runFields, type FieldType, type SortKey } from '../../contracts/experiments/run-filter.js';

/** Text that Postgres accepts: no null character, no unpaired surrogate. */
const storable = /^[^\0\p{Surrogate}]*$/u;
const text = z.string().regex(storable);

const valueSchemas: Readonly<Record<FieldType, z.ZodType>> = {
  number: z.number(),
  text,
  time: z.iso.datetime({ offset: true }).regex(/^[1-9]/),
  any: z.union([text, z.number(), z.boolean(), z.array(z.number())]),
};

/** A token for the page after the row with this key. It contains the sort order of the key. */
export function tokenOfKey(order: readonly SortKey[], key: readonly unknown[]): string {
  return Buffer.from(JSON.stringify([digestOf(order), ...key])).toString('base64url');
}

/** The key in a token. Throws `bad_request` for a token of another list or sort order. */
export function keyOfToken(order: readonly SortKey[], token: string | null | undefined): unknown[] | null {
  if (token === undefined || token === null) return null;
  const values = order.map(({ field }) => {
    const type = field.group === 'run' ? runFields[field.name] : fieldGroups[field.group];
    return valueSchemas[type].nullable();
  });
  const schema = z.tuple([z.literal(digestOf(order)), ...values, z.number().int().positive()]);
  const parsed = schema.safeParse(jsonOf(token));
  if (parsed.success) return parsed.data.slice(1);
  throw new PerennialError(
    'bad_request',
    'The page token belongs to another list or sort order. Start again without it.',
  );
}

function digestOf(order: readonly SortKey[]): string {
  return hash('sha256', JSON.stringify(order)).slice(0, 8);
}

function jsonOf(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
  } catch {
    return null;
  }
}
