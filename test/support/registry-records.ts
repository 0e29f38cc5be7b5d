import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { nextSemanticVersion } from '../../domain/registry/semantic-version.js';
import type { Queryable } from '../../stores/postgres/database.js';
import type { NewVersion } from '../../stores/registry/new-version.js';
import { evaluationOf } from './measurements.js';

/** The actor of changes in tests. */
export const curator: Actor = { name: 'curator', via: 'rest', from: '192.0.2.1', requestId: 'request-1' };

/** A version to register; a test gives only the fields it is about. */
export function newVersionOf(modelName: string, given: Partial<NewVersion> = {}): NewVersion {
  const runId = randomUUID();
  return {
    modelName,
    runId,
    architecture: 'cnn',
    labels: ['dandelion', 'grass'],
    dataset: 'flowers',
    datasetVersion: 1,
    datasetDigest: 'd',
    bundleKey: `models/${modelName}/${runId}`,
    bundleSha256: '0'.repeat(64),
    sizeBytes: 10,
    evaluation: evaluationOf(0.9),
    semanticVersion: nextSemanticVersion,
    ...given,
  };
}

/** Kinds of the notifications about a model, oldest first. */
export async function messagesOf(db: Queryable, modelName: string): Promise<string[]> {
  const rows = await db.rows(
    z.object({ kind: z.string() }),
    `SELECT kind FROM outbox WHERE payload->>'modelName' = $1 ORDER BY id`,
    [modelName],
  );
  return rows.map(({ kind }) => kind);
}
