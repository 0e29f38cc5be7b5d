-- What the engine says of a prediction besides its probabilities.
ALTER TABLE predictions
  ADD COLUMN variant text NOT NULL DEFAULT 'fp32',
  ADD COLUMN distance double precision,
  ADD COLUMN unfamiliar boolean NOT NULL DEFAULT false,
  ADD COLUMN neighbour text,
  ADD COLUMN abstained boolean NOT NULL DEFAULT false;

-- Partitions that were attached have the check as their own besides: it goes from each.
DO $$
DECLARE
  part regclass;
BEGIN
  ALTER TABLE predictions DROP CONSTRAINT predictions_route_check;
  FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'predictions'::regclass LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS predictions_route_check', part);
  END LOOP;
END $$;
ALTER TABLE predictions ADD CONSTRAINT predictions_route_check
  CHECK (route IN ('predict', 'predict_batch', 'invocations', 'v2', 'explain'));
CREATE INDEX predictions_predicted ON predictions (model_name, predicted, created_at);
