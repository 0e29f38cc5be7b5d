-- What a person said about a split that the source has already, and what the scan passed over or wondered at.
ALTER TABLE ingestions ADD COLUMN split text CHECK (split IN ('keep', 'ignore'));
ALTER TABLE ingestions ADD COLUMN skipped jsonb NOT NULL DEFAULT '{}';
ALTER TABLE ingestions ADD COLUMN warnings jsonb NOT NULL DEFAULT '[]';

-- The splits that the image of a file may get, as its folder says; null for any.
ALTER TABLE ingestion_files ADD COLUMN splits text[];

-- Images that the sources of a dataset hold under several labels now, also when no version was made of it.
CREATE TABLE open_conflicts (
  dataset text NOT NULL REFERENCES datasets (name),
  sha256 text NOT NULL,
  labels jsonb NOT NULL,
  paths jsonb NOT NULL,
  PRIMARY KEY (dataset, sha256)
);
INSERT INTO open_conflicts (dataset, sha256, labels, paths)
  SELECT c.dataset, c.sha256, c.labels, c.paths FROM dataset_conflicts c
  JOIN datasets d ON d.name = c.dataset AND d.current_version = c.version;

-- A file that its ingestion refused: its bytes stay for a while, so that a person can look at them.
ALTER TABLE upload_files ADD COLUMN is_refused boolean NOT NULL DEFAULT false;
