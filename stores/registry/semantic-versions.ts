import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import type { Lineage, ModelVersion } from '../../contracts/registry/registry.js';
import type { Queryable } from '../postgres/database.js';
import { versionRow } from './rows.js';

/**
 * Assigns a semantic version from the previous ones; see `domain/registry/semantic-version.ts`. `next` is null for a
 * version without a file.
 */
export type Numbering = (
  next: Lineage | null,
  before: { latest: Lineage | null; network: Lineage['architecture'] | null; greatest: string } | null,
) => string;

/** The given semantic version, or the one that the rule assigns to `next`. Throws `conflict` for a used one. */
export async function numberOf(
  tx: Queryable,
  modelName: string,
  given: string | Numbering,
  next: Lineage | null,
): Promise<string> {
  if (typeof given === 'string') {
    await holdSemanticVersion(tx, modelName, given);
    return given;
  }
  const newest = (condition: string): Promise<ModelVersion | null> =>
    tx.row(
      versionRow,
      `SELECT * FROM model_versions WHERE model_name = $1 AND ${condition} ORDER BY version DESC LIMIT 1`,
      [modelName],
    );
  const latest = await newest(`origin <> 'reported'`);
  const trained = await newest(`architecture <> 'external'`);
  const greatest = await tx.row(
    z.object({ semanticVersion: z.string() }),
    `SELECT semantic_version FROM model_versions WHERE model_name = $1
     ORDER BY string_to_array(semantic_version, '.')::integer[] DESC LIMIT 1`,
    [modelName],
  );
  const network = trained?.architecture ?? null;
  return given(next, greatest && { latest, network, greatest: greatest.semanticVersion });
}

/** Checks that no other version has this semantic version. Throws `conflict`, which names the holder. */
export async function holdSemanticVersion(
  tx: Queryable,
  modelName: string,
  semanticVersion: string,
  except: number | null = null,
): Promise<void> {
  const holder = await tx.row(
    z.object({ version: z.number() }),
    `SELECT version FROM model_versions
     WHERE model_name = $1 AND semantic_version = $2 AND version IS DISTINCT FROM $3`,
    [modelName, semanticVersion, except],
  );
  if (!holder) return;
  throw new PerennialError(
    'conflict',
    `Version ${holder.version} of ${modelName} is ${semanticVersion} already. A semantic version is used once; choose another.`,
  );
}
