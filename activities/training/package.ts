import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleFiles } from '../../contracts/registry/bundle.js';
import { PerennialError } from '../../contracts/errors.js';
import type { TrainingInput } from '../../contracts/training/training-pipeline.js';
import { chooseQuantizationSample } from '../../model/export/quantization-sample.js';
import { keepBundle, publishBundle, type BundleAddress } from '../../stores/registry/bundles.js';
import { runArtifactKey } from '../../stores/objects/object-keys.js';
import { hashFile } from '../../platform/hash-file.js';
import { withHeartbeat } from '../runtime/heartbeat.js';
import type { Trainer } from '../runtime/model-process.js';
import { withScratchFolder } from '../runtime/scratch.js';
import type { FittingDependencies, TrainingDependencies } from './dependencies.js';
import { fetchLatestCheckpoint, fetchTrainerInputs, packagingCache, type TrainerInputs } from './fit.js';
import { fetchImages, fetchQuantizationImages } from './inputs.js';

/** Files of the bundle that are also stored as artefacts of the run, for people to look at. */
const artifacts = [
  bundleFiles.curves,
  bundleFiles.confusionMatrix,
  bundleFiles.reliability,
  bundleFiles.metrics,
  bundleFiles.modelCard,
];

/** Test images on which the exported graph must agree with TF.js. */
const parityImages = 16;

/**
 * Makes a bundle of a finished training and publishes it: calibrated, evaluated, exported, and compared with TF.js.
 * Returns its address. It needs no protection from stale attempts: only the latest attempt to fit can commit, the key of
 * a bundle is derived from its content, and only registering completes the run.
 */
export async function packageModel(deps: FittingDependencies, input: TrainingInput): Promise<BundleAddress> {
  const version = await deps.datasets.version(input.dataset, input.datasetVersion);
  return withHeartbeat((report, signal) =>
    withScratchFolder(deps.scratchFolder, async (folder) => {
      const checkpointPath = await fetchLatestCheckpoint(deps, input.runId, folder);
      if (checkpointPath === null) {
        throw new PerennialError(
          'conflict',
          `Run ${input.runId} has no checkpoint to package; start the training again.`,
        );
      }
      const outputFolder = join(folder, 'bundle');
      const packaging = async (trainer: Trainer): Promise<unknown> =>
        trainer.run(
          {
            kind: 'package',
            modelName: input.modelName,
            runId: input.runId,
            hyperparameters: input.hyperparameters,
            ...(await fetchPackagingInputs(deps, input, folder, signal)),
            checkpointPath,
            epochs: await deps.runs.epochs(input.runId),
            dataset: input.dataset,
            datasetVersion: input.datasetVersion,
            datasetDigest: version.digest,
            codeRevision: deps.codeRevision,
            cacheFolder: packagingCache(deps),
            outputFolder,
          },
          { signal, onProgress: report },
        );
      await deps.trainers.lend(packaging, { isFollowed: false });
      const [address] = await Promise.all([
        publishBundle(deps.objects, outputFolder, input.modelName),
        storeArtifacts(deps, input.runId, outputFolder),
      ]);
      await keepBundle(outputFolder, address, deps.bundleFolder);
      return address;
    }),
  );
}

/**
 * The inputs of the trainer. A model that trains on features also needs some images: of the test split to check the
 * export, of the other splits to quantize it.
 */
async function fetchPackagingInputs(
  deps: TrainingDependencies,
  input: TrainingInput,
  folder: string,
  signal: AbortSignal,
): Promise<TrainerInputs> {
  const inputs = await fetchTrainerInputs(deps, input, folder, signal);
  if (inputs.images.length > 0) return inputs;
  const imageFolder = join(folder, 'images');
  const test = inputs.examples.filter(({ side }) => side === 'test').slice(0, parityImages);
  const { ranges, judged } = chooseQuantizationSample(inputs.examples);
  const [images, sample] = await Promise.all([
    fetchImages(
      deps,
      test.map(({ sha256 }) => sha256),
      imageFolder,
      signal,
    ),
    fetchQuantizationImages(deps, [...ranges, ...judged], imageFolder, signal),
  ]);
  return { ...inputs, images: [...images, ...sample] };
}

async function storeArtifacts(deps: TrainingDependencies, runId: string, folder: string): Promise<void> {
  for (const name of artifacts) {
    const objectKey = runArtifactKey(runId, name);
    await deps.objects.put(objectKey, await readFile(join(folder, name)));
    await deps.runs.addArtifact(runId, { name, objectKey, ...(await hashFile(join(folder, name))) });
  }
}
