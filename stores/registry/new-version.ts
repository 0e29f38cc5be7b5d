import type { ModelVersion } from '../../contracts/registry/registry.js';
import { jsonParameter } from '../postgres/columns.js';
import type { Numbering } from './semantic-versions.js';

type Given = Pick<ModelVersion, 'origin' | 'description' | 'tags'>;
type Assigned =
  | 'version'
  | 'stage'
  | 'createdAt'
  | 'decision'
  | 'lastValidation'
  | 'lastValidatedAt'
  | 'semanticVersion'
  | 'reportedMetrics'
  | 'verifiedAt'
  | 'revision';

/** Fields of a new version. Packaging and import have verified its bundle. */
export type NewVersion = Omit<ModelVersion, Assigned | keyof Given> &
  Partial<Given> & {
    /** One that a person has set, or the rule that assigns it. */
    semanticVersion: string | Numbering;
    /** The version without a file that gets this bundle; without it the next version. */
    fills?: number | undefined;
  };

/** Columns that a version without a file lacks, in the order of `fileParameters`. */
export const fileColumns = `run_id, architecture, labels, dataset, dataset_version, dataset_digest, bundle_key,
  bundle_sha256, size_bytes, evaluation`;

export function fileParameters(model: NewVersion): unknown[] {
  return [
    model.runId,
    model.architecture,
    jsonParameter(model.labels),
    model.dataset,
    model.datasetVersion,
    model.datasetDigest,
    model.bundleKey,
    model.bundleSha256,
    model.sizeBytes,
    jsonParameter(model.evaluation),
  ];
}
