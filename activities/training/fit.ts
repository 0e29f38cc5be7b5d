import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import type { Example } from '../../contracts/datasets/datasets.js';
import type { TrainingInput } from '../../contracts/training/training-pipeline.js';
import type { Hyperparameters } from '../../contracts/training/training.js';
import { chooseQuantizationSample } from '../../model/export/quantization-sample.js';
import type { ImageFile, TrainJob } from '../../model/jobs.js';
import { withHeartbeat } from '../runtime/heartbeat.js';
import { withScratchFolder } from '../runtime/scratch.js';
import { commitEpoch } from './checkpoints.js';
import type { FittingDependencies, TrainingDependencies } from './dependencies.js';
import { currentFeatures, extractFeatures } from './features.js';
import { fetchFeatures, fetchImages, fetchQuantizationImages } from './inputs.js';

export interface FitResult {
  bestEpoch: number;
  epochs: number;
  weightsSha256: string;
}

/** Inputs of the trainer process, downloaded into a scratch folder. */
export interface TrainerInputs {
  labels: string[];
  examples: Example[];
  featurePaths: string[];
  images: ImageFile[];
}

/**
 * Trains until the last epoch or early stopping, from the last committed checkpoint if there is one. The metrics and the
 * checkpoint of an epoch become visible together; an attempt that another one has replaced cannot commit. A trainer that
 * used only features is reused for packaging; one that trained on images is not, because it does not free its memory.
 */
export async function fitModel(deps: FittingDependencies, input: TrainingInput): Promise<FitResult> {
  const { workflowExecution, attempt } = Context.current().info;
  await deps.runs.open(
    {
      ...input,
      workflowId: workflowExecution?.workflowId ?? '',
      ...(workflowExecution && { workflowRunId: workflowExecution.runId }),
      codeRevision: deps.codeRevision,
    },
    attempt,
  );
  // They are missing where this run extracted those of an earlier release before it was interrupted.
  if (trainsOnFeatures(input.hyperparameters)) await extractFeatures(deps, input);
  return withHeartbeat((report, signal) =>
    withScratchFolder(deps.scratchFolder, (folder) =>
      deps.trainers.lend(
        async (trainer) => {
          const result = await trainer.run(
            {
              kind: 'train',
              hyperparameters: input.hyperparameters,
              ...(await fetchInputsAhead(deps, input, folder, signal)),
              checkpointPath: await fetchLatestCheckpoint(deps, input.runId, folder),
              outputFolder: folder,
            },
            { signal, onProgress: report, onEpoch: (event) => commitEpoch(deps, input.runId, attempt, event) },
          );
          return { bestEpoch: result.bestEpoch, epochs: result.epochs, weightsSha256: result.weightsSha256 };
        },
        { isFollowed: !trainsOnImages(input.hyperparameters) },
      ),
    ),
  );
}

/** The inputs of the fit, and those of the packaging that need not wait for its end. */
async function fetchInputsAhead(
  deps: FittingDependencies,
  input: TrainingInput,
  folder: string,
  signal: AbortSignal,
): Promise<TrainerInputs & Pick<TrainJob, 'quantizeAhead'>> {
  const inputs = await fetchTrainerInputs(deps, input, folder, signal);
  if (trainsOnImages(input.hyperparameters)) return inputs;
  const { ranges } = chooseQuantizationSample(inputs.examples);
  const images = await fetchQuantizationImages(deps, ranges, join(folder, 'images'), signal);
  return images.length === 0 ? inputs : { ...inputs, quantizeAhead: { images, cacheFolder: packagingCache(deps) } };
}

/** Where packagings keep what later ones need again. */
export function packagingCache({ scratchFolder }: TrainingDependencies): string {
  return join(scratchFolder, 'packaging');
}

/** Downloads a dataset version into `folder` as the architecture needs it: embeddings, images, or both. */
export async function fetchTrainerInputs(
  deps: TrainingDependencies,
  input: Pick<TrainingInput, 'dataset' | 'datasetVersion' | 'hyperparameters'>,
  folder: string,
  signal: AbortSignal,
): Promise<TrainerInputs> {
  const examples = await deps.datasets.examples(input.dataset, input.datasetVersion);
  const sha256s = examples.map((example) => example.sha256);
  return {
    labels: [...new Set(examples.map((example) => example.label))].sort(),
    examples,
    featurePaths: trainsOnFeatures(input.hyperparameters)
      ? await fetchFeatures(deps, currentFeatures, examples, folder, signal)
      : [],
    images: trainsOnImages(input.hyperparameters)
      ? await fetchImages(deps, sha256s, join(folder, 'images'), signal)
      : [],
  };
}

export function trainsOnFeatures({ architecture }: Hyperparameters): boolean {
  return architecture === 'efficientnet-lite0';
}

export function trainsOnImages({ architecture, fineTuneBlocks }: Hyperparameters): boolean {
  return architecture === 'cnn' || fineTuneBlocks > 0;
}

/** Downloads the newest committed checkpoint and returns its path; null when the run has none. */
export async function fetchLatestCheckpoint(
  deps: TrainingDependencies,
  runId: string,
  folder: string,
): Promise<string | null> {
  const latest = await deps.runs.latestCheckpoint(runId);
  if (!latest) return null;
  const path = join(folder, 'resume.ckpt');
  await deps.objects.getToFile(latest.objectKey, path);
  return path;
}
