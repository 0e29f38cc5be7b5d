-- Bytes that were accepted, each once, whatever dataset they are in.
CREATE TABLE images (
  sha256 text PRIMARY KEY CHECK (length(sha256) = 64),
  md5 text NOT NULL UNIQUE CHECK (length(md5) = 32),
  size_bytes bigint NOT NULL CHECK (size_bytes > 0),
  format text NOT NULL CHECK (format IN ('jpeg', 'png', 'webp')),
  width integer NOT NULL CHECK (width > 0),
  height integer NOT NULL CHECK (height > 0),
  object_key text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- The row is also the lock under which versions of the dataset are made one after another.
CREATE TABLE datasets (
  name text PRIMARY KEY,
  current_version integer,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE uploads (
  id uuid PRIMARY KEY,
  dataset text NOT NULL,
  label text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  discarded_at timestamptz
);

CREATE TABLE upload_files (
  upload_id uuid NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
  position integer NOT NULL CHECK (position >= 0),
  name text NOT NULL,
  object_key text NOT NULL,
  size_bytes bigint NOT NULL,
  PRIMARY KEY (upload_id, position)
);

-- One look at one source. What it found becomes the source's members when its version is committed.
CREATE TABLE ingestions (
  id text PRIMARY KEY,
  dataset text NOT NULL REFERENCES datasets (name),
  kind text NOT NULL CHECK (kind IN ('folder', 'public', 'synthetic', 'upload')),
  locator text NOT NULL,
  is_default boolean NOT NULL,
  note text,
  status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'committed', 'abandoned')),
  result jsonb,
  started_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz
);

CREATE TABLE ingestion_files (
  ingestion_id text NOT NULL REFERENCES ingestions (id) ON DELETE CASCADE,
  path text NOT NULL,
  label text,
  outcome text NOT NULL DEFAULT 'pending' CHECK (outcome IN ('pending', 'accepted', 'quarantined')),
  sha256 text REFERENCES images (sha256),
  uploaded_bytes bigint,
  reason text,
  detail text,
  PRIMARY KEY (ingestion_id, path),
  CHECK (outcome <> 'accepted' OR (sha256 IS NOT NULL AND label IS NOT NULL)),
  CHECK (outcome <> 'quarantined' OR reason IS NOT NULL)
);
CREATE INDEX ingestion_files_pending ON ingestion_files (ingestion_id, path) WHERE outcome = 'pending';
CREATE INDEX ingestion_files_sha256 ON ingestion_files (sha256);

-- A source's current members are the accepted files of its current ingestion.
CREATE TABLE dataset_sources (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset text NOT NULL REFERENCES datasets (name),
  kind text NOT NULL,
  locator text NOT NULL,
  is_default boolean NOT NULL,
  current_ingestion_id text REFERENCES ingestions (id),
  scanned_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (dataset, kind, locator)
);

-- Decided once: an image never changes its side.
CREATE TABLE image_sides (
  dataset text NOT NULL REFERENCES datasets (name),
  sha256 text NOT NULL REFERENCES images (sha256),
  side text NOT NULL CHECK (side IN ('train', 'validation', 'test')),
  PRIMARY KEY (dataset, sha256)
);

CREATE TABLE dataset_versions (
  dataset text NOT NULL REFERENCES datasets (name),
  version integer NOT NULL CHECK (version > 0),
  digest text NOT NULL,
  dvc_md5 text NOT NULL,
  statistics jsonb NOT NULL,
  sources jsonb NOT NULL,
  ingestion_id text NOT NULL REFERENCES ingestions (id),
  created_at timestamptz NOT NULL DEFAULT now(),
  published_at timestamptz,
  PRIMARY KEY (dataset, version),
  UNIQUE (dataset, digest)
);

CREATE TABLE dataset_examples (
  dataset text NOT NULL,
  version integer NOT NULL,
  sha256 text NOT NULL REFERENCES images (sha256),
  label text NOT NULL,
  side text NOT NULL CHECK (side IN ('train', 'validation', 'test')),
  PRIMARY KEY (dataset, version, sha256),
  FOREIGN KEY (dataset, version) REFERENCES dataset_versions (dataset, version) ON DELETE CASCADE
);

CREATE TABLE dataset_quarantine (
  dataset text NOT NULL,
  version integer NOT NULL,
  source text NOT NULL,
  path text NOT NULL,
  reason text NOT NULL,
  detail text,
  PRIMARY KEY (dataset, version, source, path),
  FOREIGN KEY (dataset, version) REFERENCES dataset_versions (dataset, version) ON DELETE CASCADE
);

CREATE TABLE dataset_conflicts (
  dataset text NOT NULL,
  version integer NOT NULL,
  sha256 text NOT NULL REFERENCES images (sha256),
  labels jsonb NOT NULL,
  paths jsonb NOT NULL,
  PRIMARY KEY (dataset, version, sha256),
  FOREIGN KEY (dataset, version) REFERENCES dataset_versions (dataset, version) ON DELETE CASCADE
);

-- Embeddings are computed once per image and backbone; a file holds those of many images.
CREATE TABLE feature_files (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  backbone_digest text NOT NULL,
  object_key text NOT NULL UNIQUE,
  sha256 text NOT NULL CHECK (length(sha256) = 64),
  run_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE features (
  backbone_digest text NOT NULL,
  sha256 text NOT NULL REFERENCES images (sha256),
  file_id bigint NOT NULL REFERENCES feature_files (id),
  position integer NOT NULL CHECK (position >= 0),
  PRIMARY KEY (backbone_digest, sha256)
);
