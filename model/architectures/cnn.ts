import { classifierName, type Operation } from './network.js';

/** Three blocks of convolution, ReLU and halving, then the mean over all positions: small, and trained from nothing. */
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

/** The step from features to logits that ends every network. */
export const classifierOperation: Operation = { kind: 'dense', name: classifierName };
