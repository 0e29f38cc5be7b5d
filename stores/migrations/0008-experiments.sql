-- What runs are grouped by. A model's runs are in the experiment of its name, unless they say otherwise.
CREATE TABLE experiments (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  description text,
  tags jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO experiments (name) SELECT DISTINCT model_name FROM runs ORDER BY model_name;

-- `final_metrics` holds, by their public names, the last value of each metric per step and the test metrics: one
-- place to search and to sort by. Imported models have no hyperparameters.
ALTER TABLE runs
  ADD COLUMN sequence bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  ADD COLUMN experiment_id bigint REFERENCES experiments (id),
  ADD COLUMN name text,
  ADD COLUMN tags jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN kind text NOT NULL DEFAULT 'training' CHECK (kind IN ('training', 'trial', 'import')),
  ADD COLUMN parent_run_id text,
  ADD COLUMN final_metrics jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN deleted_at timestamptz,
  ALTER COLUMN hyperparameters DROP NOT NULL,
  ADD CHECK (hyperparameters IS NOT NULL OR kind = 'import');

UPDATE runs SET
  experiment_id = (SELECT id FROM experiments WHERE experiments.name = runs.model_name),
  name = coalesce(hyperparameters ->> 'architecture', kind) || '-' || left(run_id, 8),
  final_metrics = (
    SELECT coalesce(jsonb_object_agg(lower(regexp_replace(last.name, '([A-Z])', '_\1', 'g')), last.value), '{}')
    FROM (
      SELECT DISTINCT ON (run_metrics.name) run_metrics.name, value FROM run_metrics
      WHERE run_metrics.run_id = runs.run_id ORDER BY run_metrics.name, step DESC
    ) AS last
  ) || CASE WHEN metrics IS NULL THEN '{}' ELSE jsonb_build_object(
    'loss', metrics #> '{test,loss}', 'accuracy', metrics #> '{test,accuracy}',
    'precision', metrics #> '{test,precision}', 'recall', metrics #> '{test,recall}', 'f1', metrics #> '{test,f1}',
    'roc_auc', metrics #> '{test,rocAuc}', 'calibration_error', metrics #> '{test,calibrationError}') END;

ALTER TABLE runs ALTER COLUMN experiment_id SET NOT NULL, ALTER COLUMN name SET NOT NULL;
CREATE INDEX runs_experiment_id ON runs (experiment_id, sequence DESC);
CREATE INDEX runs_parent_run_id ON runs (parent_run_id) WHERE parent_run_id IS NOT NULL;

-- Each attempt at an activity, as the worker that made it tells. One that never ended stays 'running': it is lost
-- when a later attempt exists. `log` holds log lines as they were written.
CREATE TABLE activity_attempts (
  sequence bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  workflow_id text NOT NULL,
  run_id text NOT NULL,
  activity_id text NOT NULL,
  attempt integer NOT NULL,
  activity_type text NOT NULL,
  task_queue text NOT NULL,
  worker text NOT NULL,
  status text NOT NULL CHECK (status IN ('running', 'completed', 'failed', 'cancelled')),
  started_at timestamptz NOT NULL,
  ended_at timestamptz,
  error_code text,
  error_message text,
  retryable boolean,
  log jsonb NOT NULL DEFAULT '[]',
  dropped_lines integer NOT NULL DEFAULT 0,
  PRIMARY KEY (run_id, activity_id, attempt)
);
-- In the C collation, so that it finds the children of a run, whose workflow ids begin with its own.
CREATE INDEX activity_attempts_workflow_id ON activity_attempts (workflow_id COLLATE "C", sequence);
