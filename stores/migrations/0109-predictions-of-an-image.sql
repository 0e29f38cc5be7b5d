-- An erased image is taken out of the predictions that were made of it.
CREATE INDEX predictions_image_sha256 ON predictions (image_sha256) WHERE image_sha256 IS NOT NULL;
