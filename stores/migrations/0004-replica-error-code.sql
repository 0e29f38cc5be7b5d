-- Whoever waits for a replica decides by the code whether trying again can help; the message is for people.
ALTER TABLE replicas ADD COLUMN error_code text;
