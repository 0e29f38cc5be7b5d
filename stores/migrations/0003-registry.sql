-- The row is also the lock under which a model's versions are counted and its stages change.
CREATE TABLE models (
  name text PRIMARY KEY,
  latest_version integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE model_versions (
  model_name text NOT NULL REFERENCES models (name),
  version integer NOT NULL CHECK (version > 0),
  stage text NOT NULL CHECK (stage IN ('None', 'Staging', 'Production', 'Archived')),
  run_id text NOT NULL UNIQUE,
  architecture text NOT NULL,
  labels jsonb NOT NULL,
  dataset text NOT NULL,
  dataset_version integer NOT NULL,
  dataset_digest text NOT NULL,
  bundle_key text NOT NULL,
  bundle_sha256 text NOT NULL CHECK (length(bundle_sha256) = 64),
  size_bytes bigint NOT NULL,
  evaluation jsonb NOT NULL,
  decision jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (model_name, version)
);
CREATE UNIQUE INDEX model_versions_one_production ON model_versions (model_name) WHERE stage = 'Production';

-- What is served, and how often that changed. Replicas follow the generation.
CREATE TABLE serving_state (
  model_name text PRIMARY KEY REFERENCES models (name),
  generation bigint NOT NULL DEFAULT 0,
  version integer,
  changed_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (model_name, version) REFERENCES model_versions (model_name, version)
);

CREATE TABLE promotions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model_name text NOT NULL REFERENCES models (name),
  kind text NOT NULL CHECK (kind IN ('promotion', 'rollback')),
  version integer NOT NULL,
  former_version integer,
  generation bigint NOT NULL,
  actor text NOT NULL,
  reason text NOT NULL,
  idempotency_key text NOT NULL,
  workflow_id text,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (idempotency_key, kind),
  FOREIGN KEY (model_name, version) REFERENCES model_versions (model_name, version)
);
CREATE INDEX promotions_model_name ON promotions (model_name, id DESC);

CREATE TABLE replicas (
  replica_id text NOT NULL,
  model_name text NOT NULL,
  url text NOT NULL,
  generation bigint NOT NULL,
  version integer,
  error text,
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (replica_id, model_name)
);

-- Messages that must go out exactly when the change they speak of was committed.
CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text NOT NULL UNIQUE,
  kind text NOT NULL,
  payload jsonb NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  taken_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  done_at timestamptz
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE done_at IS NULL;
