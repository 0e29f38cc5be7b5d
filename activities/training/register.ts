import { bundleFiles, manifestSchema } from '../../contracts/registry/bundle.js';
import type { TrainingInput, TrainingResult } from '../../contracts/training/training-pipeline.js';
import { modelMetricsSchema } from '../../contracts/training/training.js';
import { nextSemanticVersion } from '../../domain/registry/semantic-version.js';
import { readBundleJson } from '../../stores/registry/bundle-files.js';
import type { BundleAddress } from '../../stores/registry/bundles.js';
import { removeCheckpoints } from './checkpoints.js';
import type { RegistrationDependencies } from './dependencies.js';

/**
 * Registers a packaged run as the next version of its model, in Staging, which completes the run, and removes its
 * checkpoints. Repeated calls register it once. Throws `conflict` for a cancelled run.
 */
export async function registerModel(
  deps: RegistrationDependencies,
  input: TrainingInput,
  bundle: BundleAddress,
): Promise<Pick<TrainingResult, 'version' | 'test'>> {
  const manifest = await readBundleJson(deps.objects, bundle, bundleFiles.manifest, manifestSchema);
  const metrics = await readBundleJson(deps.objects, bundle, bundleFiles.metrics, modelMetricsSchema);
  const { version } = await deps.registry.register(
    {
      ...bundle,
      modelName: input.modelName,
      runId: input.runId,
      architecture: manifest.architecture,
      labels: manifest.labels,
      dataset: manifest.dataset,
      datasetVersion: manifest.datasetVersion,
      datasetDigest: manifest.datasetDigest,
      sizeBytes: manifest.files.find((file) => file.path === bundleFiles.onnx)?.sizeBytes ?? 0,
      evaluation: metrics.test,
      semanticVersion: nextSemanticVersion,
    },
    { weightsSha256: manifest.weightsSha256, bestEpoch: metrics.bestEpoch, metrics },
  );
  await removeCheckpoints(deps, input.runId);
  return { version, test: metrics.test };
}
