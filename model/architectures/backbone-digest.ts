import type { Hyperparameters } from '../../contracts/training/training.js';

/**
 * SHA-256 of the backbone's weights, checked on every load. Embeddings store it: features of two backbones are not
 * comparable.
 */
export const backboneDigest = '8df23e0039025e67cfc3f1759ca922aaff121b9a5779cd60f43d01bb23ff032d';

/** Length of an embedding. */
export const backboneFeatures = 1280;

/** What computes embeddings. Another version of it may round otherwise, so embeddings store this too. */
export const featureRuntime = 'onnxruntime 1.30.0';

/** Whether an architecture uses the features of the feature store, that is, a frozen backbone. */
export function usesStoredFeatures({ architecture, fineTuneBlocks }: Hyperparameters): boolean {
  return architecture === 'efficientnet-lite0' && fineTuneBlocks === 0;
}
