-- Every request to retrain a model, what was decided on it, and why. What became of the run is told by `pipelines`.
CREATE TABLE retraining_decisions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- A request that is repeated gets the decision it got.
  request_id text NOT NULL UNIQUE,
  model_name text NOT NULL,
  dataset text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('manual', 'mlops_retraining_pipeline', 'continuous_training')),
  trigger text NOT NULL,
  requested_by text NOT NULL,
  decision text NOT NULL CHECK (decision IN ('retrain', 'skip')),
  skipped_because text CHECK (
    skipped_because IN ('already_running', 'cool_down', 'nothing_changed', 'awaiting_approval', 'no_data')
  ),
  reason text NOT NULL,
  reasons jsonb NOT NULL,
  metrics jsonb NOT NULL,
  -- The run that was started or joined, once it is known; else why it could not be started.
  run_id text,
  joined boolean NOT NULL DEFAULT false,
  start_error text,
  scheduled_for timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((decision = 'skip') = (skipped_because IS NOT NULL))
);
CREATE INDEX retraining_decisions_model_name ON retraining_decisions (model_name, id DESC);
CREATE INDEX retraining_decisions_begun ON retraining_decisions (model_name, id DESC) WHERE decision = 'retrain';
