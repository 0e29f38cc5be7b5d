-- Objects that a process is about to write and has not recorded yet. A claim keeps the retention from removing a former
-- object with the same key; it is void after two days.
CREATE TABLE object_claims (
  object_key text PRIMARY KEY,
  claimed_at timestamptz NOT NULL
);
CREATE INDEX object_claims_claimed_at ON object_claims (claimed_at);

-- The bytes of an image that no dataset contains any more are removed. Its row stays, because an image never changes its
-- split. When the same bytes come again they are stored again.
ALTER TABLE images ADD COLUMN removed_at timestamptz;
CREATE INDEX dataset_examples_sha256 ON dataset_examples (sha256);
CREATE INDEX dataset_conflicts_sha256 ON dataset_conflicts (sha256);
