-- Whoever starts a promotion asks several times a second whether it waits.
CREATE INDEX approvals_pipeline_run_id ON approvals (pipeline_run_id, id DESC);
