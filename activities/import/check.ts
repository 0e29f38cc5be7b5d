import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import type { Example } from '../../contracts/datasets/datasets.js';
import { errorCodeOf, messageOf, PerennialError } from '../../contracts/errors.js';
import type { ImportInput, ImportOrder } from '../../contracts/registry/import.js';
import type { ImportedModel, ImportJob } from '../../model/jobs.js';
import { checkedModelKey } from '../../stores/objects/object-keys.js';
import { withHeartbeat } from '../runtime/heartbeat.js';
import { runModelJob } from '../runtime/model-process.js';
import { withScratchFolder } from '../runtime/scratch.js';
import { fetchImages } from '../training/inputs.js';
import type { CheckDependencies } from './dependencies.js';
import { checkedGraphName, judgedImages, readOrder, writeChecked } from './upload.js';

/** Images on which an uploaded model is tried before it is evaluated. */
const triedImages = 12;
const defaultLimits = { memoryBytes: 4e9, timeMs: 5 * 60_000 };

/** After this many crashes the model is the cause, not the machine. */
const crashesOfModel = 2;

export interface CheckResult {
  datasetVersion: number;
  /** What was adapted in the model. */
  notes: string[];
}

/**
 * Reads and tries an uploaded model in a separate process, and stores the graph that will be served in the object store.
 * Throws `bundle_invalid` with what is wrong and what to do.
 */
export function checkUpload(deps: CheckDependencies, input: ImportInput): Promise<CheckResult> {
  return withHeartbeat((report, signal) =>
    withScratchFolder(deps.scratchFolder, async (folder) => {
      const order = await readOrder(deps.objects, input);
      const { datasetVersion, images } = await pickImages(deps, order);
      report({ trying: order.modelName });
      const sha256s = images.slice(0, triedImages).map(({ sha256 }) => sha256);
      const outputPath = join(folder, checkedGraphName);
      const model = await tryModel(
        deps,
        {
          kind: 'import',
          format: order.format,
          files: await fetchFiles(deps, order, join(folder, 'files')),
          labels: order.labels,
          scaling: order.scaling,
          output: order.output,
          images: await fetchImages(deps, sha256s, join(folder, 'images'), signal),
          outputPath,
          limits: deps.importLimits ?? defaultLimits,
        },
        signal,
      );
      await deps.objects.putFile(checkedModelKey(input.uploadId, checkedGraphName), outputPath);
      await writeChecked(deps.objects, input, { ...model, datasetVersion });
      return { datasetVersion, notes: model.notes };
    }),
  );
}

/** The newest version of the dataset, and its test images whose class the model has. */
async function pickImages(
  { datasets }: CheckDependencies,
  { dataset, labels }: ImportOrder,
): Promise<{ datasetVersion: number; images: Example[] }> {
  const version = await datasets.latestVersion(dataset);
  if (!version) {
    throw new PerennialError(
      'not_found',
      `Dataset ${dataset}, on which the model would be evaluated, has no images. Ingest images or name another dataset.`,
    );
  }
  const classes = Object.keys(version.statistics.classes);
  if (!classes.some((label) => labels.includes(label))) {
    throw new PerennialError(
      'bundle_invalid',
      `The labels of the model (${joinLabels(labels)}) include none of the classes of dataset ${dataset} (${joinLabels(classes)}). Send the labels in the spelling of the dataset, or name another dataset.`,
    );
  }
  const images = judgedImages(await datasets.examples(dataset, version.version), 'test', labels);
  if (images.length > 0) return { datasetVersion: version.version, images };
  throw new PerennialError(
    'dataset_too_small',
    `Dataset ${dataset} has no test image of a class that the model knows. Add images of these classes.`,
  );
}

function joinLabels(labels: readonly string[]): string {
  return labels.length > 10 ? `${labels.slice(0, 10).join(', ')}, …` : labels.join(', ');
}

/** Downloads the uploaded files under generated names, so that a client's file name never becomes a path. */
async function fetchFiles(
  { objects }: CheckDependencies,
  { files }: ImportOrder,
  folder: string,
): Promise<ImportJob['files']> {
  await mkdir(folder);
  const fetched: ImportJob['files'] = [];
  for (const [position, { name, key }] of files.entries()) {
    const path = join(folder, String(position));
    await objects.getToFile(key, path);
    fetched.push({ name, path });
  }
  return fetched;
}

async function tryModel({ logger }: CheckDependencies, job: ImportJob, signal: AbortSignal): Promise<ImportedModel> {
  try {
    return await runModelJob(job, { signal, logger });
  } catch (error) {
    if (errorCodeOf(error) !== 'trainer_died' || Context.current().info.attempt < crashesOfModel) throw error;
    throw new PerennialError(
      'bundle_invalid',
      `The model crashed the process that tried it. ${messageOf(error)} Export a smaller or simpler model.`,
      { cause: error },
    );
  }
}
