-- Who did what, when, from where. Rows are added in the transaction of the change and never touched again.
CREATE TABLE audit_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  actor text NOT NULL,
  via text NOT NULL CHECK (via IN ('rest', 'schedule', 'workflow', 'system')),
  source text NOT NULL,
  request_id text,
  action text NOT NULL,
  subject text NOT NULL,
  before jsonb,
  after jsonb
);
CREATE INDEX audit_log_subject ON audit_log (subject, id DESC);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER promotions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON promotions
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How a model is looked after; a model without a row has the defaults of contracts/policy.ts.
CREATE TABLE model_policies (
  model_name text PRIMARY KEY,
  policy jsonb NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now()
);
