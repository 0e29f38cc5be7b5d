-- A training runs in the workflow of its retraining, whose id is used again by the next one: the id of the run tells them
-- apart. Older trainings had a workflow of their own.
ALTER TABLE runs ADD COLUMN workflow_run_id text;
