import type { SourceDetail } from '../../stores/datasets/sources.js';
import type { SourcePresence } from '../../stores/objects/source-presence.js';

type Place = Pick<SourceDetail, 'kind' | 'locator' | 'missingSince'>;

/**
 * Whether a source is gone. The API looks itself where it can; on a machine without these folders it tells what the worker
 * found at the last ingestion.
 */
export async function isMissing(presence: SourcePresence, { kind, locator, missingSince }: Place): Promise<boolean> {
  const found = await presence({ kind, locator });
  return found === 'gone' || (found === 'unknown' && missingSince !== null);
}
