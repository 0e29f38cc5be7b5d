import { errorCodeOf, messageOf, PerennialError } from '../../contracts/errors.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';

/**
 * Runs `work` on a version of a dataset. If it fails because the version or an image of it was erased meanwhile, it throws
 * `not_found` with that reason, which no retry follows, whatever the work itself threw.
 */
export async function onDataset<T>(
  datasets: Pick<DatasetStore, 'version'>,
  { dataset, datasetVersion }: { dataset: string; datasetVersion: number },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = errorCodeOf(error);
    if (code === 'cancelled') throw error;
    const gone = await reasonOf(datasets, dataset, datasetVersion);
    if (gone !== null) throw new PerennialError('not_found', `The run cannot continue. ${gone}`, { cause: error });
    if (code !== 'not_found') throw error;
    throw new PerennialError(
      'not_found',
      `${messageOf(error)} Data of dataset ${dataset} were removed while the run used them. Start it again: it trains on what remains.`,
      { cause: error },
    );
  }
}

/** Why the version cannot be used any more; null while it can, or when the database does not answer. */
async function reasonOf(
  datasets: Pick<DatasetStore, 'version'>,
  dataset: string,
  version: number,
): Promise<string | null> {
  try {
    await datasets.version(dataset, version);
    return null;
  } catch (error) {
    return errorCodeOf(error) === 'not_found' ? messageOf(error) : null;
  }
}
