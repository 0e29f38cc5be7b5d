import type { Architecture } from '../../contracts/training/training.js';
import { loadBackbone } from './backbone.js';
import { classifierOperation, cnnOperations } from './cnn.js';
import { classifierName, weightOf, type Operation, type Weights, type WeightTensor } from './network.js';

/** A whole network, from the image to the logits. */
export interface TrainedNetwork {
  /** From the scaled image to the features. */
  featureOperations: readonly Operation[];
  /** All operations, the classifier last. */
  operations: readonly Operation[];
  weights: Weights;
}

/** Combines trained weights with their architecture; frozen weights come from the backbone. */
export async function assembleNetwork(architecture: Architecture, trained: Weights): Promise<TrainedNetwork> {
  switch (architecture) {
    case 'cnn':
      return withClassifier(cnnOperations, trained);
    case 'efficientnet-lite0': {
      const backbone = await loadBackbone();
      return withClassifier(backbone.operations, new Map([...backbone.weights, ...trained]));
    }
  }
}

function withClassifier(featureOperations: readonly Operation[], weights: Weights): TrainedNetwork {
  return { featureOperations, operations: [...featureOperations, classifierOperation], weights };
}

/**
 * The same network with its logits divided by the temperature. The division is folded into the classifier's weights, so
 * that inference costs no more.
 */
export function calibrateNetwork(network: TrainedNetwork, temperature: number): TrainedNetwork {
  const scaled = [`${classifierName}/kernel`, `${classifierName}/bias`].map((name): [string, WeightTensor] => {
    const { shape, values } = weightOf(network.weights, name);
    return [name, { shape, values: values.map((value) => value / temperature) }];
  });
  return { ...network, weights: new Map([...network.weights, ...scaled]) };
}
