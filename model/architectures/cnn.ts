import { classifierName, type Operation } from './network.js';

/**
 * Three blocks of convolution, ReLU and 2×2 max pooling, then global average pooling: small, and trained from scratch.
 */
export const cnnOperations: readonly Operation[] = [
  ...[1, 2, 3].map((block): Operation => ({
    kind: 'convolution',
    name: `convolution${block}`,
    stride: 1,
    activation: 'relu',
    halves: true,
  })),
  { kind: 'average', name: 'features' },
];

/** The classifier that ends every network: a dense layer from features to logits. */
export const classifierOperation: Operation = { kind: 'dense', name: classifierName };
