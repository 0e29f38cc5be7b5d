-- The channels that workers send over, as they report them. A channel gets the messages after `since_id`, of the
-- kinds that match one of `kinds` (patterns of LIKE), and only while some worker has it configured.
CREATE TABLE notification_channels (
  name text PRIMARY KEY,
  kinds text[] NOT NULL,
  since_id bigint NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT now()
);

-- A message on its way over one channel, independent of the others. `delivery_id` stays the same over all attempts:
-- receivers tell repetitions by it. `reached` names the recipients that have it, of a channel with several.
CREATE TABLE deliveries (
  message_id bigint NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
  channel text NOT NULL,
  delivery_id uuid NOT NULL DEFAULT gen_random_uuid(),
  status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'sent', 'dead')),
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  taken_until timestamptz,
  waiting_since timestamptz NOT NULL DEFAULT now(),
  reached text[] NOT NULL DEFAULT '{}',
  last_error text,
  sent_at timestamptz,
  PRIMARY KEY (message_id, channel)
);
CREATE INDEX deliveries_due ON deliveries (channel, next_attempt_at) WHERE status = 'waiting';
CREATE INDEX deliveries_unsent ON deliveries (status, channel) WHERE status <> 'sent';

-- A message is handed to the channels there are at that moment, once.
ALTER TABLE outbox ADD COLUMN handed_out_at timestamptz;
ALTER TABLE outbox DROP COLUMN attempts, DROP COLUMN taken_until;
-- Nobody sent messages before this release; those that wait are news no longer.
UPDATE outbox SET handed_out_at = now(), done_at = now() WHERE done_at IS NULL;
DROP INDEX outbox_waiting;
CREATE INDEX outbox_waiting ON outbox (id) WHERE handed_out_at IS NULL;
CREATE INDEX outbox_kind ON outbox (kind, id DESC);

CREATE FUNCTION hint_at_messages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('perennial_outbox', '');
  RETURN NULL;
END $$;
CREATE TRIGGER outbox_hint AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION hint_at_messages();

CREATE INDEX audit_log_action ON audit_log (action, id DESC);
CREATE INDEX audit_log_actor ON audit_log (actor, id DESC);
CREATE INDEX audit_log_at ON audit_log (at);
-- The log gets everything from the beginning.
INSERT INTO notification_channels (name, kinds, since_id) SELECT 'log', '{%}', coalesce(max(id), 0) FROM outbox;
