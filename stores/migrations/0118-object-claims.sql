-- Objects that a process is about to write and has not recorded yet. A claim keeps the retention from removing a former
-- object with the same key; it is void after two days.
CREATE TABLE object_claims (
  object_key text PRIMARY KEY,
  claimed_at timestamptz NOT NULL
);
CREATE INDEX object_claims_claimed_at ON object_claims (claimed_at);
