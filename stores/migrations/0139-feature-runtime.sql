-- Another runtime computes other features, in the last digits. TF.js computed those of earlier releases.
ALTER TABLE feature_files ADD COLUMN runtime text NOT NULL DEFAULT 'tfjs';
ALTER TABLE features ADD COLUMN runtime text NOT NULL DEFAULT 'tfjs';
ALTER TABLE features DROP CONSTRAINT features_pkey;
ALTER TABLE features ADD PRIMARY KEY (backbone_digest, preprocessing, runtime, sha256);
ALTER TABLE feature_files ALTER COLUMN runtime DROP DEFAULT;
ALTER TABLE features ALTER COLUMN runtime DROP DEFAULT;
