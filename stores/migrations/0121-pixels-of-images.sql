-- What an image shows, whatever its file: the digest of its decoded pixels with the version of that digest, and a
-- perceptual hash. Null for images of earlier releases until the next ingestion of their dataset; the digest stays null
-- where the image cannot be decoded any more.
ALTER TABLE images ADD COLUMN pixel_sha256 text CHECK (length(pixel_sha256) = 64);
ALTER TABLE images ADD COLUMN pixel_version integer;
ALTER TABLE images ADD COLUMN perceptual_hash text CHECK (length(perceptual_hash) = 16);
CREATE INDEX images_pixel_sha256 ON images (pixel_sha256);
