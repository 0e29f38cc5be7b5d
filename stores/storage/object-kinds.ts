import type { StorageKind } from '../../contracts/storage/storage.js';
import { claimHours } from '../objects/object-claims.js';

/**
 * Objects of one kind: the exact form of their keys, and the condition in SQL under which such an object is referenced.
 * The condition sees `asked.key`, and `asked.owner`, the group `owner` of the pattern.
 */
export interface ObjectRule {
  kind: StorageKind;
  pattern: RegExp;
  isReferenced: string;
  /** Notes in the database that objects are about to be deleted; the statement gets their owners. */
  forget?: string;
}

const uuid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';

/** An open run may have written what it records later. */
const ofOpenRun = `EXISTS (SELECT FROM runs r WHERE r.run_id = asked.owner AND r.status = 'running')`;
const ofOpenBatch = `EXISTS (SELECT FROM batch_predictions b WHERE b.id = asked.owner::uuid AND b.erased_at IS NULL
  AND b.status IN ('waiting', 'running'))`;

/** An image that any dataset contains, or that an ingestion accepted, which may become a member of a dataset. */
const ofUsedImage = `EXISTS (SELECT FROM images i
  WHERE i.md5 = replace(asked.owner, '/', '') AND i.erased_at IS NULL AND i.removed_at IS NULL
    AND (i.created_at > now() - interval '${claimHours} hours'
      OR EXISTS (SELECT FROM dataset_examples e WHERE e.sha256 = i.sha256)
      OR EXISTS (SELECT FROM dataset_conflicts c WHERE c.sha256 = i.sha256)
      OR EXISTS (SELECT FROM ingestion_files f WHERE f.sha256 = i.sha256)))`;
/** It has listed the images of a dataset version, which may have been deleted since. */
const whileDatasetIsPredicted = `EXISTS (SELECT FROM batch_predictions b WHERE b.status IN ('waiting', 'running')
  AND b.job_order #>> '{source,kind}' = 'dataset')`;

/** Every key that Perennial writes. A key of another form was written by another program. */
export const objectRules: Readonly<Record<string, ObjectRule>> = {
  image: {
    kind: 'datasets',
    pattern: /^raw\/files\/md5\/(?<owner>[0-9a-f]{2}\/[0-9a-f]{30})$/,
    isReferenced: `${ofUsedImage} OR ${whileDatasetIsPredicted}`,
    forget: `UPDATE images SET removed_at = now()
      WHERE md5 = ANY (SELECT replace(owner, '/', '') FROM unnest($1::text[]) AS gone (owner)) AND erased_at IS NULL`,
  },
  listing: {
    kind: 'datasets',
    pattern: /^raw\/files\/md5\/(?<owner>[0-9a-f]{2}\/[0-9a-f]{30})\.dir$/,
    isReferenced: `EXISTS (SELECT FROM dataset_versions v
      WHERE v.dvc_md5 = replace(asked.owner, '/', '') AND v.erased_at IS NULL)`,
  },
  manifest: {
    kind: 'datasets',
    pattern: /^(?:train|validation|test)\/(?<owner>[^/]+\/\d+)\.json$/,
    isReferenced: `EXISTS (SELECT FROM dataset_versions v WHERE v.dataset = split_part(asked.owner, '/', 1)
      AND v.version::text = split_part(asked.owner, '/', 2) AND v.erased_at IS NULL)`,
  },
  features: {
    kind: 'features',
    pattern: /^features\/[0-9a-f]{12}\/(?<owner>[0-9a-f]{64})\.parquet$/,
    isReferenced: 'EXISTS (SELECT FROM feature_files f WHERE f.object_key = asked.key AND f.erased_at IS NULL)',
  },
  checkpoint: {
    kind: 'checkpoints',
    pattern: /^checkpoints\/(?<owner>[^/]+)\/\d+-\d+\.ckpt$/,
    isReferenced: `${ofOpenRun}
      OR EXISTS (SELECT FROM checkpoints c WHERE c.run_id = asked.owner AND c.object_key = asked.key)`,
  },
  bundle: {
    kind: 'bundles',
    pattern: /^(?<owner>models\/[^/]+\/[0-9a-f]{16})\/.+$/,
    isReferenced: `EXISTS (SELECT FROM model_versions v WHERE v.bundle_key = asked.owner AND v.bundle_removed_at IS NULL)
      OR EXISTS (SELECT FROM runs r WHERE r.model_name = split_part(asked.owner, '/', 2) AND r.status = 'running')`,
  },
  artifact: {
    kind: 'artifacts',
    pattern: /^runs\/(?<owner>[^/]+)\/.+$/,
    isReferenced: `${ofOpenRun}
      OR EXISTS (SELECT FROM artifacts a WHERE a.run_id = asked.owner AND a.object_key = asked.key)`,
  },
  search: {
    kind: 'artifacts',
    pattern: /^searches\/(?<owner>[^/]+)\/.+$/,
    isReferenced: `EXISTS (SELECT FROM searches s WHERE s.run_id = asked.owner)
      OR EXISTS (SELECT FROM artifacts a WHERE a.object_key = asked.key)`,
  },
  input: {
    kind: 'predictions',
    pattern: new RegExp(`^predictions/inputs/[^/]+/\\d{4}-\\d{2}-\\d{2}/(?<owner>${uuid})$`),
    isReferenced: `EXISTS (SELECT FROM prediction_inputs p
      WHERE p.prediction_id = asked.owner::uuid AND p.object_key = asked.key)`,
  },
  batchResult: {
    kind: 'predictions',
    pattern: new RegExp(`^predictions/batch/(?<owner>${uuid})/results\\.[a-z]+$`),
    isReferenced: `${ofOpenBatch} OR EXISTS (SELECT FROM batch_predictions b WHERE b.id = asked.owner::uuid
      AND b.results @> jsonb_build_array(jsonb_build_object('objectKey', asked.key)))`,
  },
  // The results replace them when the job ends.
  batchWork: {
    kind: 'predictions',
    pattern: new RegExp(`^predictions/batch/(?<owner>${uuid})/work/.+$`),
    isReferenced: ofOpenBatch,
  },
  upload: {
    kind: 'uploads',
    pattern: new RegExp(`^uploads/(?<owner>${uuid})/.+$`),
    isReferenced: `EXISTS (SELECT FROM uploads u WHERE u.id = asked.owner::uuid AND u.discarded_at IS NULL)
      OR EXISTS (SELECT FROM upload_files f WHERE f.object_key = asked.key AND f.is_refused)`,
  },
};

export interface ClassifiedKey {
  rule: ObjectRule;
  owner: string;
}

/** The rule for a key; null for a key that Perennial does not write. */
export function classifyKey(key: string): ClassifiedKey | null {
  for (const rule of Object.values(objectRules)) {
    const owner = rule.pattern.exec(key)?.groups?.['owner'];
    if (owner !== undefined) return { rule, owner };
  }
  return null;
}
