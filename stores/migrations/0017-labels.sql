-- Pictures of predictions, as the policy of the model says, without what the file told besides the picture.
-- `image_sha256` is of the file that was sent, `content_sha256` of the bytes that are kept. `expires_at` is null for a
-- picture that a dataset needs. `decided_at`: somebody decided on this picture, so that nobody is asked again.
CREATE TABLE prediction_inputs (
  prediction_id uuid PRIMARY KEY,
  created_at timestamptz NOT NULL,
  model_name text NOT NULL,
  object_key text NOT NULL,
  image_sha256 text NOT NULL CHECK (length(image_sha256) = 64),
  content_sha256 text NOT NULL CHECK (length(content_sha256) = 64),
  size_bytes bigint NOT NULL CHECK (size_bytes > 0),
  content_type text NOT NULL,
  expires_at timestamptz,
  decided_at timestamptz
);
CREATE INDEX prediction_inputs_open ON prediction_inputs (model_name, created_at DESC, prediction_id DESC)
  WHERE decided_at IS NULL;
CREATE INDEX prediction_inputs_expiry ON prediction_inputs (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX prediction_inputs_image ON prediction_inputs (image_sha256);
CREATE INDEX prediction_inputs_content ON prediction_inputs (content_sha256);

-- What people said when they were asked for a label. Rows are added and never changed, but for what an erasure takes
-- out; the newest of a prediction, and of a picture, counts. What ingestion needs of the picture is copied.
CREATE TABLE label_decisions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  prediction_id uuid NOT NULL,
  prediction_created_at timestamptz NOT NULL,
  model_name text NOT NULL,
  version integer NOT NULL,
  predicted text NOT NULL,
  decision text NOT NULL CHECK (decision IN ('label', 'skip', 'reject')),
  label text,
  new_class boolean NOT NULL DEFAULT false,
  image_sha256 text,
  content_sha256 text,
  actor text,
  comment text,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((decision = 'label') = (label IS NOT NULL))
);
CREATE INDEX label_decisions_prediction ON label_decisions (prediction_id, id DESC);
CREATE INDEX label_decisions_picture ON label_decisions (model_name, content_sha256, id DESC);
CREATE INDEX label_decisions_content ON label_decisions (content_sha256, id DESC);
CREATE INDEX label_decisions_image ON label_decisions (image_sha256);
CREATE INDEX label_decisions_model ON label_decisions (model_name, id DESC);
CREATE FUNCTION refuse_decision_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF coalesce(NEW.actor, NEW.comment, NEW.image_sha256, NEW.content_sha256) IS NULL
    AND (to_jsonb(NEW) - '{actor,comment,image_sha256,content_sha256}'::text[])
      = (to_jsonb(OLD) - '{actor,comment,image_sha256,content_sha256}'::text[]) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'label_decisions is append-only';
END $$;
CREATE TRIGGER label_decisions_update BEFORE UPDATE ON label_decisions
  FOR EACH ROW EXECUTE FUNCTION refuse_decision_change();
CREATE TRIGGER label_decisions_append_only BEFORE DELETE OR TRUNCATE ON label_decisions
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The label that counts for each labelled prediction, and how many there are of each kind: kept up to date by triggers,
-- so that neither a scrape nor a list has to go through all feedback. A decision of the queue outranks feedback.
-- `conflicted`: the newest labels of different people differ, and nobody has decided.
CREATE TABLE prediction_labels (
  prediction_id uuid PRIMARY KEY,
  prediction_created_at timestamptz NOT NULL,
  model_name text NOT NULL,
  version integer NOT NULL,
  predicted text NOT NULL,
  label text NOT NULL,
  decided boolean NOT NULL DEFAULT false,
  conflicted boolean NOT NULL DEFAULT false
);
CREATE INDEX prediction_labels_model ON prediction_labels
  (model_name, version, prediction_created_at) INCLUDE (label, predicted);
CREATE INDEX prediction_labels_newest ON prediction_labels (prediction_created_at DESC, prediction_id DESC);

CREATE TABLE label_counts (
  model_name text NOT NULL,
  version integer NOT NULL,
  label text NOT NULL,
  predicted text NOT NULL,
  predictions bigint NOT NULL,
  PRIMARY KEY (model_name, version, label, predicted)
);

-- Whether the newest labels of different people differ. What was erased of who said it counts as one person.
CREATE FUNCTION labels_conflict(prediction uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT count(DISTINCT label) > 1 FROM (
    SELECT DISTINCT ON (coalesce(actor, '')) label FROM feedback WHERE prediction_id = prediction
    ORDER BY coalesce(actor, ''), id DESC) newest
$$;

CREATE FUNCTION count_label(model text, of_version integer, given text, answered text, by bigint) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO label_counts AS c VALUES (model, of_version, given, answered, by)
  ON CONFLICT (model_name, version, label, predicted) DO UPDATE SET predictions = c.predictions + by
$$;

-- Makes `given` the label of a prediction; null takes back what the queue had decided, so that feedback counts again.
CREATE FUNCTION settle_label(
  prediction uuid, made_at timestamptz, model text, of_version integer, answered text, given text, is_decision boolean
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  known prediction_labels%ROWTYPE;
  wanted text := given;
BEGIN
  INSERT INTO prediction_labels VALUES (prediction, made_at, model, of_version, answered, coalesce(given, ''), is_decision)
  ON CONFLICT DO NOTHING;
  IF FOUND THEN
    known.label := NULL;
    known.decided := is_decision;
  ELSE
    SELECT * INTO known FROM prediction_labels WHERE prediction_id = prediction FOR UPDATE;
  END IF;
  IF wanted IS NULL THEN
    SELECT label INTO wanted FROM feedback WHERE prediction_id = prediction ORDER BY id DESC LIMIT 1;
    known.decided := false;
  ELSIF is_decision THEN
    known.decided := true;
  ELSIF known.decided THEN
    wanted := known.label;
  END IF;
  -- In the order of the labels, so that two of these cannot wait for each other.
  IF known.label IS DISTINCT FROM wanted THEN
    IF known.label IS NOT NULL AND (wanted IS NULL OR known.label < wanted) THEN
      PERFORM count_label(model, of_version, known.label, answered, -1);
    END IF;
    IF wanted IS NOT NULL THEN
      PERFORM count_label(model, of_version, wanted, answered, 1);
    END IF;
    IF known.label IS NOT NULL AND wanted IS NOT NULL AND known.label > wanted THEN
      PERFORM count_label(model, of_version, known.label, answered, -1);
    END IF;
  END IF;
  IF wanted IS NULL THEN
    DELETE FROM prediction_labels WHERE prediction_id = prediction;
  ELSE
    UPDATE prediction_labels SET label = wanted, decided = known.decided,
      conflicted = NOT known.decided AND labels_conflict(prediction)
    WHERE prediction_id = prediction;
  END IF;
END $$;

CREATE FUNCTION settle_feedback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM settle_label(NEW.prediction_id, NEW.prediction_created_at, NEW.model_name, NEW.version, NEW.predicted,
    NEW.label, false);
  RETURN NULL;
END $$;
CREATE TRIGGER feedback_settle AFTER INSERT ON feedback FOR EACH ROW EXECUTE FUNCTION settle_feedback();

CREATE FUNCTION settle_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM settle_label(NEW.prediction_id, NEW.prediction_created_at, NEW.model_name, NEW.version, NEW.predicted,
    NEW.label, true);
  RETURN NULL;
END $$;
CREATE TRIGGER label_decisions_settle AFTER INSERT ON label_decisions FOR EACH ROW EXECUTE FUNCTION settle_decision();

INSERT INTO prediction_labels
  SELECT DISTINCT ON (prediction_id) prediction_id, prediction_created_at, model_name, version, predicted, label, false,
    labels_conflict(prediction_id)
  FROM feedback ORDER BY prediction_id, id DESC;
INSERT INTO label_counts
  SELECT model_name, version, label, predicted, count(*) FROM prediction_labels GROUP BY 1, 2, 3, 4;

-- Accepted labels are a source of a dataset; its locator is the name of the model.
ALTER TABLE ingestions DROP CONSTRAINT ingestions_kind_check;
ALTER TABLE ingestions ADD CONSTRAINT ingestions_kind_check
  CHECK (kind IN ('folder', 'public', 'synthetic', 'upload', 'labels'));
