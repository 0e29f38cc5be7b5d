-- A version can be registered with nothing but the metrics that a client reports. It has no file until one is uploaded
-- for it, and so it can be neither promoted nor served.
ALTER TABLE model_versions
  ALTER COLUMN run_id DROP NOT NULL,
  ALTER COLUMN architecture DROP NOT NULL,
  ALTER COLUMN labels DROP NOT NULL,
  ALTER COLUMN dataset DROP NOT NULL,
  ALTER COLUMN dataset_version DROP NOT NULL,
  ALTER COLUMN dataset_digest DROP NOT NULL,
  ALTER COLUMN bundle_key DROP NOT NULL,
  ALTER COLUMN bundle_sha256 DROP NOT NULL,
  ALTER COLUMN size_bytes DROP NOT NULL,
  ALTER COLUMN evaluation DROP NOT NULL,
  -- They stay beside the measured ones when the version gets its file.
  ADD COLUMN reported_metrics jsonb,
  -- The Idempotency-Key of the registration.
  ADD COLUMN registration_key text,
  DROP CONSTRAINT model_versions_origin_check,
  ADD CONSTRAINT model_versions_origin_check CHECK (origin IN ('trained', 'uploaded', 'reported')),
  ADD CONSTRAINT model_versions_file_check CHECK (CASE
    WHEN origin = 'reported' THEN stage IN ('None', 'Archived') AND reported_metrics IS NOT NULL AND num_nonnulls(run_id,
      architecture, labels, dataset, dataset_version, dataset_digest, bundle_key, bundle_sha256, size_bytes, evaluation) = 0
    ELSE num_nulls(run_id, architecture, labels, dataset, dataset_version, dataset_digest, bundle_key, bundle_sha256,
      size_bytes, evaluation) = 0 END),
  ADD CONSTRAINT model_versions_registration_key UNIQUE (model_name, registration_key);
