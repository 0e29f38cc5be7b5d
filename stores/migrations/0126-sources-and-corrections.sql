-- A source can be detached from its dataset, by itself or because another source replaces it.
ALTER TABLE dataset_sources ADD COLUMN detached_at timestamptz;
ALTER TABLE dataset_sources ADD COLUMN replaced_by bigint REFERENCES dataset_sources (id) ON DELETE SET NULL;
-- Since when the worker finds no folder at the place of the source.
ALTER TABLE dataset_sources ADD COLUMN missing_since timestamptz;
ALTER TABLE ingestions ADD COLUMN replaces_source bigint;

-- What people decided about single images of a dataset, whatever its sources say; append-only but for erasures. The last
-- decision on an image counts: `restore` gives the decision back to the sources.
CREATE TABLE image_corrections (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset text NOT NULL REFERENCES datasets (name),
  sha256 text NOT NULL REFERENCES images (sha256) ON DELETE CASCADE,
  action text NOT NULL CHECK (action IN ('relabel', 'remove', 'restore')),
  label text CHECK ((label IS NOT NULL) = (action = 'relabel')),
  reason text,
  actor text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX image_corrections_image ON image_corrections (dataset, sha256, id DESC);
-- Files that show the same pixels.
CREATE VIEW same_pictures AS
  SELECT sha256, sha256 AS twin FROM images
  UNION SELECT i.sha256, t.sha256 FROM images i JOIN images t USING (pixel_sha256, pixel_version);
-- A decision holds for every file that shows the same.
CREATE VIEW current_image_corrections AS
  SELECT DISTINCT ON (c.dataset, same.twin) c.id, c.dataset, same.twin AS sha256, c.action, c.label, c.reason, c.actor, c.created_at
  FROM image_corrections c JOIN same_pictures same USING (sha256) ORDER BY c.dataset, same.twin, c.id DESC;

-- A version made by a correction or by detaching a source belongs to no ingestion.
ALTER TABLE dataset_versions ALTER COLUMN ingestion_id DROP NOT NULL;

-- Counts changes of what is published of a version: an erasure takes images out of its listing and its manifests.
ALTER TABLE dataset_versions ADD COLUMN publication integer NOT NULL DEFAULT 0;
CREATE INDEX dataset_versions_unpublished ON dataset_versions (dataset, version)
  WHERE published_at IS NULL AND erased_at IS NULL;
-- Listings of versions with images that were erased before name them still: they are published again.
UPDATE dataset_versions v SET published_at = NULL, publication = 1
  WHERE erased_at IS NULL AND EXISTS (
    SELECT FROM dataset_examples e JOIN images i USING (sha256)
    WHERE e.dataset = v.dataset AND e.version = v.version AND i.erased_at IS NOT NULL);
