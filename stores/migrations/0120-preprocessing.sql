-- Features are computed from pixels: another preprocessing gives others. Those of earlier releases are of version 1.
ALTER TABLE feature_files ADD COLUMN preprocessing integer NOT NULL DEFAULT 1;
ALTER TABLE features ADD COLUMN preprocessing integer NOT NULL DEFAULT 1;
ALTER TABLE features DROP CONSTRAINT features_pkey;
ALTER TABLE features ADD PRIMARY KEY (backbone_digest, preprocessing, sha256);
