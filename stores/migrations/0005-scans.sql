-- Numbers scans in the order in which they began: of two looks at a source, the later one tells what it holds.
CREATE SEQUENCE ingestion_scans;
ALTER TABLE ingestions ADD COLUMN scan bigint NOT NULL DEFAULT nextval('ingestion_scans');
-- Temporal's number of the attempt that scans: an older one may no longer write.
ALTER TABLE ingestions ADD COLUMN scan_attempt integer NOT NULL DEFAULT 0;
