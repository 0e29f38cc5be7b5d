-- A search for good hyper-parameters; how it stands and ended is in the record of its workflow run.
CREATE TABLE searches (
  run_id text PRIMARY KEY REFERENCES pipelines (run_id) ON DELETE CASCADE,
  dataset_version integer NOT NULL,
  space jsonb NOT NULL,
  budget jsonb NOT NULL,
  planned_trials integer NOT NULL,
  best_trial integer,
  trained_run_id text,
  version integer
);

-- Each trial is a run as well, of kind 'trial': its hyper-parameters, metrics per epoch and failure are there.
CREATE TABLE trials (
  search_id text NOT NULL REFERENCES searches (run_id) ON DELETE CASCADE,
  number integer NOT NULL,
  run_id text NOT NULL UNIQUE REFERENCES runs (run_id) ON DELETE CASCADE,
  status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'stopped', 'failed', 'finished')),
  PRIMARY KEY (search_id, number)
);

CREATE TABLE trial_rungs (
  search_id text NOT NULL,
  number integer NOT NULL,
  rung integer NOT NULL,
  epochs integer NOT NULL,
  best_epoch integer NOT NULL,
  loss double precision NOT NULL,
  accuracy double precision NOT NULL,
  trained_epochs integer NOT NULL,
  duration_ms double precision NOT NULL,
  PRIMARY KEY (search_id, number, rung),
  FOREIGN KEY (search_id, number) REFERENCES trials (search_id, number) ON DELETE CASCADE
);
