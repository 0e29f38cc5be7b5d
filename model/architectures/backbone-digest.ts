/**
 * SHA-256 of the backbone's weights, checked on every load. Embeddings store it: features of two backbones are not
 * comparable.
 */
export const backboneDigest = '8df23e0039025e67cfc3f1759ca922aaff121b9a5779cd60f43d01bb23ff032d';

/** Length of an embedding. */
export const backboneFeatures = 1280;
