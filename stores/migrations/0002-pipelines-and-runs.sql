-- `sequence` orders lists: it grows with each row, where times can be equal.
CREATE TABLE pipelines (
  run_id text PRIMARY KEY,
  sequence bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  workflow_id text NOT NULL,
  workflow text NOT NULL,
  status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'completed', 'failed', 'cancelled')),
  trigger text NOT NULL,
  model_name text,
  dataset text,
  result jsonb,
  error_code text,
  error_message text,
  started_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz
);
CREATE INDEX pipelines_workflow_id ON pipelines (workflow_id, sequence DESC);

CREATE TABLE pipeline_steps (
  run_id text NOT NULL REFERENCES pipelines (run_id) ON DELETE CASCADE,
  name text NOT NULL,
  position integer NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
  detail text,
  started_at timestamptz,
  ended_at timestamptz,
  PRIMARY KEY (run_id, name)
);

-- `attempt` is the fencing token: only the newest attempt may write.
CREATE TABLE runs (
  run_id text PRIMARY KEY,
  model_name text NOT NULL,
  dataset text NOT NULL,
  dataset_version integer NOT NULL,
  hyperparameters jsonb NOT NULL,
  workflow_id text NOT NULL,
  code_revision text NOT NULL,
  attempt integer NOT NULL DEFAULT 1,
  status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'completed', 'failed', 'cancelled')),
  weights_sha256 text,
  best_epoch integer,
  metrics jsonb,
  error_code text,
  error_message text,
  started_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  FOREIGN KEY (dataset, dataset_version) REFERENCES dataset_versions (dataset, version)
);
CREATE INDEX runs_model_name ON runs (model_name, started_at DESC);

CREATE TABLE run_metrics (
  run_id text NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
  step integer NOT NULL,
  name text NOT NULL,
  value double precision NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, step, name)
);

CREATE TABLE checkpoints (
  run_id text NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
  epoch integer NOT NULL,
  attempt integer NOT NULL,
  object_key text NOT NULL,
  sha256 text NOT NULL CHECK (length(sha256) = 64),
  size_bytes bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, epoch)
);

CREATE TABLE artifacts (
  run_id text NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
  name text NOT NULL,
  object_key text NOT NULL,
  sha256 text NOT NULL CHECK (length(sha256) = 64),
  size_bytes bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, name)
);
