import { PerennialError } from '../../contracts/errors.js';
import type { SourceStore } from '../../stores/datasets/sources.js';

/** Throws `not_found` or `conflict` unless the dataset has the source, attached, so that another can take its place. */
export async function requireAttached(
  sources: Pick<SourceStore, 'get'>,
  dataset: string,
  sourceId: number,
): Promise<void> {
  const { isAttached, replacedBy } = await sources.get(dataset, sourceId);
  if (isAttached) return;
  const how = replacedBy === null ? 'is detached' : `was replaced by source ${replacedBy}`;
  throw new PerennialError(
    'conflict',
    `Source ${sourceId} of dataset ${dataset} ${how} already. Ingest without "replaces".`,
  );
}
