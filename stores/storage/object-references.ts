import { z } from 'zod';
import { claimHours } from '../objects/object-claims.js';
import type { Database } from '../postgres/database.js';
import { classifyKey, type ObjectRule } from './object-kinds.js';

/** References to objects, from all tables. */
export interface ObjectReferences {
  /** Those of `keys`, all of one rule, that no row and no claim refers to. */
  unreferenced(rule: ObjectRule, keys: readonly string[]): Promise<string[]>;
  /** Notes that objects are about to be deleted, so that the same content is stored again when it comes again. */
  forget(rule: ObjectRule, keys: readonly string[]): Promise<void>;
}

export function createObjectReferences(db: Database): ObjectReferences {
  return {
    async unreferenced(rule, keys) {
      const rows = await db.rows(
        z.object({ key: z.string() }),
        `SELECT asked.key FROM unnest($1::text[], $2::text[]) AS asked (key, owner)
         WHERE NOT (${rule.isReferenced}) AND NOT EXISTS (
           SELECT FROM object_claims claim
           WHERE claim.object_key = asked.key AND claim.claimed_at > now() - $3 * interval '1 hour')`,
        [keys, keys.map((key) => ownerOf(rule, key)), claimHours],
      );
      return rows.map(({ key }) => key);
    },
    async forget(rule, keys) {
      if (rule.forget !== undefined && keys.length > 0)
        await db.query(rule.forget, [keys.map((key) => ownerOf(rule, key))]);
    },
  };
}

function ownerOf(rule: ObjectRule, key: string): string {
  const found = classifyKey(key);
  if (found?.rule === rule) return found.owner;
  throw new Error(`The object ${key} is of another kind than was asked for.`);
}
