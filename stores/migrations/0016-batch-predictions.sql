-- An upload for a batch prediction belongs to no dataset and says nothing of classes.
ALTER TABLE uploads ALTER COLUMN dataset DROP NOT NULL, ALTER COLUMN label DROP NOT NULL;

-- Predictions over many images. `job_order` is what was asked for and never changes; the run's steps are in `pipelines`.
CREATE TABLE batch_predictions (
  id uuid PRIMARY KEY,
  sequence bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  model_name text NOT NULL,
  job_order jsonb NOT NULL,
  -- The request as it came: the same key with another request is refused.
  request jsonb NOT NULL,
  started_by text NOT NULL,
  status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'running', 'completed', 'failed', 'cancelled')),
  workflow_id text NOT NULL,
  run_id text,
  -- The list of images is made once; whoever lists first has the say.
  list_prefix text,
  items integer,
  chunks integer,
  results jsonb NOT NULL DEFAULT '[]',
  error_code text,
  error_message text,
  created_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  listed_at timestamptz,
  ended_at timestamptz,
  erased_at timestamptz
);
CREATE INDEX batch_predictions_model ON batch_predictions (model_name, created_at);

-- A chunk that is here is done, and is never done again.
CREATE TABLE batch_prediction_chunks (
  job_id uuid NOT NULL REFERENCES batch_predictions (id) ON DELETE CASCADE,
  chunk integer NOT NULL,
  object_key text NOT NULL,
  sha256 text NOT NULL,
  items integer NOT NULL,
  failed integer NOT NULL,
  predicted jsonb NOT NULL,
  -- The images that were predicted, so that an erasure finds the results they are in.
  images text[] NOT NULL,
  ended_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job_id, chunk)
);
CREATE INDEX batch_prediction_chunks_images ON batch_prediction_chunks USING gin (images);
