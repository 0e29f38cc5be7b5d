-- A model can be taken out of service on purpose: Production becomes empty. Its row has the retired version as `version`,
-- and no `former_version`.
ALTER TABLE promotions DROP CONSTRAINT promotions_kind_check;
ALTER TABLE promotions ADD CONSTRAINT promotions_kind_check CHECK (kind IN ('promotion', 'rollback', 'retirement'));

-- Schedules do not retrain a retired model.
ALTER TABLE retraining_decisions DROP CONSTRAINT retraining_decisions_skipped_because_check;
ALTER TABLE retraining_decisions ADD CONSTRAINT retraining_decisions_skipped_because_check CHECK (
  skipped_because IN ('already_running', 'cool_down', 'nothing_changed', 'awaiting_approval', 'no_data', 'model_retired')
);
