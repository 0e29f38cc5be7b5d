-- Versions that were measured with the pixels of an earlier release, and what they reach with those they are served with.
-- A row without a time waits for its measurement.
CREATE TABLE remeasurements (
  model_name text NOT NULL,
  version integer NOT NULL,
  preprocessing integer NOT NULL,
  images integer,
  accuracy double precision,
  -- Why it could not be measured.
  failure text,
  measured_at timestamptz,
  PRIMARY KEY (model_name, version, preprocessing),
  FOREIGN KEY (model_name, version) REFERENCES model_versions (model_name, version) ON DELETE CASCADE
);
INSERT INTO remeasurements (model_name, version, preprocessing)
  SELECT model_name, version, 3 FROM model_versions WHERE origin <> 'reported' AND deleted_at IS NULL;
