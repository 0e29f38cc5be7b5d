import type { ImageFacts, PixelIdentity } from '../../contracts/datasets/datasets.js';
import { createLimiter } from '../../platform/concurrently.js';
import type { FileOutcome, Ingestion } from '../../stores/datasets/ingestions.js';
import { refusedEntryKey } from '../../stores/objects/object-keys.js';
import type { FileGroup } from './archive/archive-groups.js';
import type { IngestionDependencies } from './dependencies.js';

/** Outcomes that one transaction records: a killed worker repeats about so many files. */
const outcomesAtOnce = 32;

/** Records outcomes of files, many a transaction, while other files are in progress. */
export interface Settler {
  /** `image`: the uploaded image that this file brought; both are recorded together. */
  add(outcome: FileOutcome, image?: ImageFacts & PixelIdentity): Promise<void>;
  /** Records what is left. */
  flush(): Promise<void>;
}

export function createSettler(
  deps: IngestionDependencies,
  ingestion: Ingestion,
  group: FileGroup,
  onSettled: (files: number) => void,
): Settler {
  const oneAtATime = createLimiter(1);
  const added: { outcome: FileOutcome; image: (ImageFacts & PixelIdentity) | undefined }[] = [];
  const flush = (): Promise<void> =>
    oneAtATime(async () => {
      const taken = added.splice(0);
      if (taken.length === 0) return;
      const outcomes = taken.map(({ outcome }) => outcome);
      await keepRefused(deps, group, outcomes);
      await deps.ingestions.settle(
        ingestion.id,
        outcomes,
        taken.flatMap(({ image }) => image ?? []),
      );
      onSettled(taken.length);
    });
  return {
    async add(outcome, image) {
      added.push({ outcome, image });
      if (added.length >= outcomesAtOnce) await flush();
    },
    flush,
  };
}

/** Stores the bytes of refused files, except those of erased images. */
async function keepRefused(
  { objects, uploads }: IngestionDependencies,
  { keepIn, read }: FileGroup,
  outcomes: readonly FileOutcome[],
): Promise<void> {
  if (keepIn === undefined) return;
  for (const outcome of outcomes) {
    const content = 'reason' in outcome && outcome.reason !== 'erased' ? await read(outcome.path) : null;
    if (content === null || !('bytes' in content)) continue;
    const objectKey = refusedEntryKey(keepIn, outcome.path);
    await objects.put(objectKey, content.bytes);
    await uploads.addRefusedEntry(keepIn, outcome.path, objectKey, content.bytes.byteLength);
  }
}
