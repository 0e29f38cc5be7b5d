import { Context } from '@temporalio/activity';
import { bundleFiles, manifestSchema } from '../../contracts/registry/bundle.js';
import { errorCodeOf, errorTable, messageOf } from '../../contracts/errors.js';
import type { ImportInput, ImportResult } from '../../contracts/registry/import.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { modelMetricsSchema } from '../../contracts/training/training.js';
import { importRunId } from '../../contracts/names.js';
import { nextSemanticVersion } from '../../domain/registry/semantic-version.js';
import { readBundleJson } from '../../stores/registry/bundle-files.js';
import type { BundleAddress } from '../../stores/registry/bundles.js';
import { requireNoFile } from '../../stores/registry/reported-versions.js';
import type { ImportDependencies } from './dependencies.js';
import { readChecked, readOrder } from './upload.js';

export interface FoundImport {
  /** Id of the run of this upload in the database, which may not exist yet. */
  runId: string;
  /** The version that the same upload made before; null when there is none. */
  known: ImportResult | null;
}

/**
 * Finds the version of the same upload. After that version was deleted, or failed to register, it can be imported again.
 * Throws `conflict` if the version that the upload is for has another file.
 */
export async function findImported(
  { registry, runs }: Pick<ImportDependencies, 'registry' | 'runs'>,
  { contentId, modelName, fills }: ImportInput,
): Promise<FoundImport> {
  for (let time = 1; ; time += 1) {
    const runId = importRunId(contentId, time);
    const version = await registry.ofRun(runId);
    if (version === null) {
      const run = await runs.get(runId);
      if (run === null || run.status === 'running') {
        if (fills !== undefined) requireNoFile(await registry.resolveAny(modelName, String(fills)));
        return { runId, known: null };
      }
    } else if (await isRegistered(registry, version)) {
      return {
        runId,
        known: { ...resultOf(version), isNewVersion: false, notes: ['This model was uploaded before.'] },
      };
    }
  }
}

async function isRegistered(registry: ImportDependencies['registry'], version: ModelVersion): Promise<boolean> {
  try {
    await registry.get(version.modelName, version.version);
    return true;
  } catch (error) {
    if (errorCodeOf(error) === 'not_found') return false;
    throw error;
  }
}

/** Registers the bundle of an upload as the next version of its model, in Staging. Repeated calls register it once. */
export async function registerUpload(
  deps: ImportDependencies,
  input: ImportInput & { runId: string },
  bundle: BundleAddress,
): Promise<ImportResult> {
  const order = await readOrder(deps.objects, input);
  const { notes, datasetVersion } = await readChecked(deps.objects, input);
  const known = await deps.registry.ofRun(input.runId);
  if (known) return { ...resultOf(known), isNewVersion: true, notes };
  const { info } = Context.current();
  await deps.runs.open(
    {
      runId: input.runId,
      modelName: order.modelName,
      dataset: order.dataset,
      datasetVersion,
      hyperparameters: null,
      workflowId: info.workflowExecution?.workflowId ?? '',
      codeRevision: deps.codeRevision,
      kind: 'import',
    },
    info.attempt,
  );
  try {
    return { ...resultOf(await register(deps, input, bundle)), isNewVersion: true, notes };
  } catch (error) {
    const code = errorCodeOf(error);
    if (!errorTable[code].retryable) await deps.runs.fail(input.runId, 'failed', { code, message: messageOf(error) });
    throw error;
  }
}

async function register(
  { registry, objects }: ImportDependencies,
  input: ImportInput & { runId: string },
  bundle: BundleAddress,
): Promise<ModelVersion> {
  const { modelName, description, tags, semanticVersion, fills, by } = await readOrder(objects, input);
  const manifest = await readBundleJson(objects, bundle, bundleFiles.manifest, manifestSchema);
  const { test } = await readBundleJson(objects, bundle, bundleFiles.metrics, modelMetricsSchema);
  const { architecture, labels, dataset, datasetVersion, datasetDigest, weightsSha256 } = manifest;
  return registry.register(
    {
      ...bundle,
      modelName,
      runId: input.runId,
      architecture,
      labels,
      dataset,
      datasetVersion,
      datasetDigest,
      sizeBytes: manifest.files.find(({ path }) => path === bundleFiles.onnx)?.sizeBytes ?? 0,
      evaluation: test,
      origin: 'uploaded',
      // A version without a file keeps its own description, if the upload has none.
      ...(description !== '' && { description }),
      tags,
      semanticVersion: semanticVersion ?? nextSemanticVersion,
      fills: fills ?? undefined,
    },
    { weightsSha256, bestEpoch: null, metrics: null, test },
    by,
  );
}

function resultOf(version: ModelVersion): Omit<ImportResult, 'isNewVersion' | 'notes'> {
  const { modelName, version: number, runId, dataset, datasetVersion, evaluation } = version;
  return { modelName, version: number, runId, dataset, datasetVersion, test: evaluation };
}
