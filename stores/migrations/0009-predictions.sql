-- What was predicted, without the picture. `id` is a UUIDv7 and `created_at` the time within it, so that an id alone
-- tells the partition. `erased_at`: probabilities and the image's hash were removed on request.
CREATE TABLE predictions (
  id uuid NOT NULL,
  created_at timestamptz NOT NULL,
  model_name text NOT NULL,
  version integer NOT NULL,
  generation bigint NOT NULL,
  replica text NOT NULL,
  bundle_sha256 text NOT NULL,
  predicted text NOT NULL,
  confidence double precision NOT NULL,
  probabilities jsonb,
  image_sha256 text,
  latency_ms double precision NOT NULL,
  route text NOT NULL CHECK (route IN ('predict', 'invocations')),
  erased_at timestamptz,
  PRIMARY KEY (created_at, id)
) PARTITION BY RANGE (created_at);
CREATE INDEX predictions_model_version ON predictions (model_name, version, created_at);
CREATE TABLE predictions_default PARTITION OF predictions DEFAULT;

-- Makes the partition of the month (UTC) that holds `moment`, unless it is there. Rows of that month that came before
-- it are in the default partition and move.
CREATE FUNCTION make_prediction_partition(moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  first timestamptz := date_trunc('month', moment, 'UTC');
  next timestamptz := (date_trunc('month', moment AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
  name text := 'predictions_' || to_char(moment AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
  IF to_regclass(name) IS NOT NULL THEN
    RETURN;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('prediction partitions'));
  IF to_regclass(name) IS NOT NULL THEN
    RETURN;
  END IF;
  LOCK TABLE predictions IN SHARE ROW EXCLUSIVE MODE;
  LOCK TABLE predictions_default IN ACCESS EXCLUSIVE MODE;
  EXECUTE format('CREATE TABLE %I (LIKE predictions INCLUDING ALL)', name);
  EXECUTE format(
    'WITH moved AS (DELETE FROM predictions_default WHERE created_at >= %L AND created_at < %L RETURNING *)
     INSERT INTO %I SELECT * FROM moved', first, next, name);
  EXECUTE format('ALTER TABLE predictions ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, first, next);
END $$;

-- True labels. The newest of a prediction counts; all are kept. What accuracy needs of the prediction is copied, so
-- that it outlives the prediction's row.
CREATE TABLE feedback (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  prediction_id uuid NOT NULL,
  prediction_created_at timestamptz NOT NULL,
  model_name text NOT NULL,
  version integer NOT NULL,
  predicted text NOT NULL,
  label text NOT NULL,
  actor text,
  comment text,
  contradicts boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX feedback_prediction ON feedback (prediction_id, id DESC);
CREATE INDEX feedback_model_version ON feedback (model_name, version, prediction_created_at);

-- Append-only, but for what an erasure takes out: who said it, and the words.
CREATE FUNCTION refuse_feedback_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.actor IS NULL AND NEW.comment IS NULL
    AND (to_jsonb(NEW) - 'actor' - 'comment') = (to_jsonb(OLD) - 'actor' - 'comment') THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'feedback is append-only';
END $$;
CREATE TRIGGER feedback_update BEFORE UPDATE ON feedback FOR EACH ROW EXECUTE FUNCTION refuse_feedback_change();
CREATE TRIGGER feedback_append_only BEFORE DELETE OR TRUNCATE ON feedback
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Tombstones: what was erased, by whom, when and why. An erasure is done when none of its objects is left to delete.
CREATE TABLE erasures (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('prediction', 'image', 'dataset', 'model')),
  subject text NOT NULL,
  reason text NOT NULL,
  actor text NOT NULL,
  counts jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erasures_subject ON erasures (kind, subject, id DESC);
CREATE TRIGGER erasures_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON erasures
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Objects, or prefixes that end in a slash, that an erasure has yet to delete.
CREATE TABLE erasure_objects (
  erasure_id bigint NOT NULL REFERENCES erasures (id),
  object_key text NOT NULL,
  PRIMARY KEY (erasure_id, object_key)
);

-- The row of an erased image stays, so that its bytes are known and refused when they come again.
ALTER TABLE images ADD COLUMN erased_at timestamptz;
ALTER TABLE feature_files ADD COLUMN erased_at timestamptz;
ALTER TABLE model_versions ADD COLUMN erased_at timestamptz;
ALTER TABLE dataset_versions ADD COLUMN erased_at timestamptz;

-- The same images may make a version anew after the former one was erased.
ALTER TABLE dataset_versions DROP CONSTRAINT dataset_versions_dataset_digest_key;
CREATE UNIQUE INDEX dataset_versions_digest ON dataset_versions (dataset, digest) WHERE erased_at IS NULL;

-- Counts versions, so that the number of a deleted one never comes back for other images.
ALTER TABLE datasets ADD COLUMN latest_version integer NOT NULL DEFAULT 0;
UPDATE datasets d SET latest_version = coalesce((SELECT max(version) FROM dataset_versions v WHERE v.dataset = d.name), 0);
