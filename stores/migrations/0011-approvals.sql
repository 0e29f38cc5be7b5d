-- A promotion that waits, or waited, for a person. The workflow waits; this row is what people see of it.
CREATE TABLE approvals (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- That of the promotion it is about.
  idempotency_key text NOT NULL UNIQUE,
  model_name text NOT NULL REFERENCES models (name),
  version integer NOT NULL,
  workflow_id text NOT NULL,
  -- The run of our record that waits: a retraining, or a promotion by hand.
  pipeline_run_id text NOT NULL,
  requested_by text NOT NULL,
  summary text NOT NULL,
  decision jsonb,
  outcome text NOT NULL DEFAULT 'waiting' CHECK (outcome IN ('waiting', 'approved', 'rejected', 'expired', 'cancelled')),
  on_expiry text NOT NULL CHECK (on_expiry IN ('reject', 'promote')),
  expires_at timestamptz NOT NULL,
  decided_by text,
  comment text,
  decided_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX approvals_waiting ON approvals (model_name) WHERE outcome = 'waiting';

ALTER TABLE promotions ADD COLUMN approver text;

-- What a replica saw since it serves its version, and of the version before it.
ALTER TABLE replicas ADD COLUMN figures jsonb;
