-- `decision` of a version that was promoted stays the one it was promoted by; a later validation stands beside it.
ALTER TABLE model_versions ADD COLUMN last_validation jsonb, ADD COLUMN last_validated_at timestamptz;
