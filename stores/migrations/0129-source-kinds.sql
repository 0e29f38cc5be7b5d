-- Sources may be archives, tables of labels, and prefixes of a bucket.
ALTER TABLE ingestions DROP CONSTRAINT ingestions_kind_check;
ALTER TABLE ingestions ADD CONSTRAINT ingestions_kind_check
  CHECK (kind IN ('folder', 'public', 'synthetic', 'upload', 'labels', 'archive', 'csv', 's3'));
