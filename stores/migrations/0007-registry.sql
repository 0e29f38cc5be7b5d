ALTER TABLE model_versions
  ADD COLUMN semantic_version text,
  ADD COLUMN description text NOT NULL DEFAULT '',
  ADD COLUMN tags jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN origin text NOT NULL DEFAULT 'trained' CHECK (origin IN ('trained', 'uploaded')),
  ADD COLUMN verified_at timestamptz,
  ADD COLUMN revision integer NOT NULL DEFAULT 1,
  -- A deleted version stays as a tombstone: its numbers are not given out again, and the history may name it.
  ADD COLUMN deleted_at timestamptz,
  ADD COLUMN deleted_by text,
  ADD COLUMN bundle_removed_at timestamptz,
  ADD CHECK (deleted_at IS NULL OR stage = 'Archived');

-- The rule of domain/semantic-version.ts, for the versions there are: major for another network or other classes,
-- minor for other data, patch for the same.
WITH changes AS (
  SELECT model_name, version,
    row(architecture, labels) IS DISTINCT FROM lag(row(architecture, labels)) OVER of_model AS other_model,
    row(dataset, dataset_digest) IS DISTINCT FROM lag(row(dataset, dataset_digest)) OVER of_model AS other_data
  FROM model_versions WINDOW of_model AS (PARTITION BY model_name ORDER BY version)
), majors AS (
  SELECT *, count(*) FILTER (WHERE other_model) OVER (PARTITION BY model_name ORDER BY version) AS major FROM changes
), minors AS (
  SELECT *, count(*) FILTER (WHERE other_data AND NOT other_model)
    OVER (PARTITION BY model_name, major ORDER BY version) AS minor FROM majors
), patches AS (
  SELECT *, row_number() OVER (PARTITION BY model_name, major, minor ORDER BY version) - 1 AS patch FROM minors
)
UPDATE model_versions v SET semantic_version = concat_ws('.', p.major, p.minor, p.patch), verified_at = v.created_at
FROM patches p WHERE p.model_name = v.model_name AND p.version = v.version;

ALTER TABLE model_versions ALTER COLUMN semantic_version SET NOT NULL;
ALTER TABLE model_versions ADD UNIQUE (model_name, semantic_version);

-- Whoever changes a version, the next reader sees another revision.
CREATE FUNCTION count_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.revision := OLD.revision + 1;
  RETURN NEW;
END $$;
CREATE TRIGGER model_versions_revision BEFORE UPDATE ON model_versions
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION count_revision();

-- Names that point at a version and can be moved.
CREATE TABLE model_aliases (
  model_name text NOT NULL REFERENCES models (name),
  alias text NOT NULL,
  version integer NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (model_name, alias),
  FOREIGN KEY (model_name, version) REFERENCES model_versions (model_name, version)
);

-- Times of rows that are added one after another under the model's lock: the time of the statement, because that of
-- the transaction lies before the wait for the lock and would put rows out of order.
CREATE TABLE stage_changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model_name text NOT NULL,
  version integer NOT NULL,
  former_stage text NOT NULL,
  stage text NOT NULL,
  actor text NOT NULL,
  reason text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  FOREIGN KEY (model_name, version) REFERENCES model_versions (model_name, version)
);
CREATE INDEX stage_changes_version ON stage_changes (model_name, version, id DESC);
CREATE TRIGGER stage_changes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stage_changes
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE promotions ALTER COLUMN created_at SET DEFAULT clock_timestamp();
