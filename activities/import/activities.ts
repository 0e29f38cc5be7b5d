import type { ImportInput, ImportResult } from '../../contracts/registry/import.js';
import type { BundleAddress } from '../../stores/registry/bundles.js';
import { discardUpload } from '../../stores/datasets/uploads.js';
import { checkUpload, type CheckResult } from './check.js';
import type { CheckDependencies, ImportDependencies } from './dependencies.js';
import { evaluateUpload, type EvaluateResult } from './evaluate.js';
import { findImported, registerUpload, type FoundImport } from './register.js';

export interface CheckActivities {
  checkModelUpload(input: ImportInput): Promise<CheckResult>;
}

export interface ImportActivities {
  findImported(input: ImportInput): Promise<FoundImport>;
  evaluateModelUpload(input: ImportInput & { runId: string }): Promise<EvaluateResult>;
  registerModelUpload(input: ImportInput & { runId: string }, bundle: BundleAddress): Promise<ImportResult>;
  /** Deletes the uploaded files. */
  discardModelUpload(input: { uploadId: string }): Promise<void>;
}

/** Checks an uploaded model in a child process: ONNX on the pipeline worker, TF.js on the training worker. */
export function createCheckActivities(deps: CheckDependencies): CheckActivities {
  return { checkModelUpload: (input) => checkUpload(deps, input) };
}

/** Makes a version of a checked model; runs on the pipeline worker. */
export function createImportActivities(deps: ImportDependencies): ImportActivities {
  return {
    findImported: (input) => findImported(deps, input),
    evaluateModelUpload: (input) => evaluateUpload(deps, input),
    registerModelUpload: (input, bundle) => registerUpload(deps, input, bundle),
    discardModelUpload: ({ uploadId }) => discardUpload(deps, uploadId),
  };
}
