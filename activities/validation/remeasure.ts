import { errorCodeOf, messageOf } from '../../contracts/errors.js';
import type { RemeasurementOutcome } from '../../contracts/registry/remeasurement.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { indexOfLargest } from '../../model/evaluation/prepared.js';
import type { Logger } from '../../platform/logging.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import { startLoop, type Loop } from '../notifications/loop.js';
import { modelErrors } from './activities.js';
import { measureServed, type ServingDependencies } from './serve-test-images.js';

export interface RemeasuringDependencies extends ServingDependencies {
  registry: Pick<RegistryStore, 'get' | 'pendingRemeasurements' | 'recordRemeasurement'>;
  datasets: Pick<DatasetStore, 'examples' | 'imageFacts'>;
  logger: Logger;
}

/** Between two looks for versions that wait: after an interrupted pass, or a restored backup. */
const pauseMs = 600_000;

/**
 * Measures versions of an earlier preprocessing again, on one thread, while they are served. Which ones wait stands in the
 * database, so a pass that ends early is taken up by the next; measured twice, a version gets the same result.
 */
export function startRemeasuring(deps: RemeasuringDependencies): Loop {
  const stopping = new AbortController();
  const pass = (): Promise<void> => remeasureAll(deps, stopping.signal);
  const loop = startLoop({ what: 'measuring versions again', pass, pauseMs, logger: deps.logger });
  return {
    ...loop,
    stop() {
      stopping.abort();
      return loop.stop();
    },
  };
}

export async function remeasureAll(deps: RemeasuringDependencies, signal: AbortSignal): Promise<void> {
  for (const { modelName, version } of await deps.registry.pendingRemeasurements()) {
    if (signal.aborted) return;
    const known = await deps.registry.get(modelName, version);
    const outcome = await remeasure(deps, known, signal);
    await deps.registry.recordRemeasurement(modelName, version, outcome);
    const before = known.evaluation.accuracy;
    deps.logger.info({ modelName, version, before, ...outcome }, 'version measured again with the current pixels');
  }
}

async function remeasure(
  deps: RemeasuringDependencies,
  version: ModelVersion,
  signal: AbortSignal,
): Promise<RemeasurementOutcome> {
  const { labels } = version;
  const examples = await deps.datasets.examples(version.dataset, version.datasetVersion);
  const testSet = examples.filter(({ side, label }) => side === 'test' && labels.includes(label));
  if (testSet.length === 0) return { failure: 'its dataset version has no test images' };
  try {
    const rows = await measureServed({ ...deps, threads: 1 }, version, { images: testSet, signal });
    const right = testSet.filter(({ label }, at) => labels[indexOfLargest(rows[at] ?? [])] === label);
    return { images: testSet.length, accuracy: right.length / testSet.length };
  } catch (error) {
    if (signal.aborted || !modelErrors.includes(errorCodeOf(error))) throw error;
    return { failure: messageOf(error) };
  }
}
