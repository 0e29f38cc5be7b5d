ALTER TABLE pipeline_steps DROP CONSTRAINT pipeline_steps_status_check;
ALTER TABLE pipeline_steps ADD CONSTRAINT pipeline_steps_status_check
  CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'skipped'));
