import { combineSeeds, createRandom } from '../seeded-random.js';
import { classifierName, type Weights, type WeightTensor } from './network.js';

/** Seeded initial weights of the three blocks (He initialisation, for ReLU) and the classifier. */
export function createCnnWeights(filters: readonly number[], classes: number, seed: number): Weights {
  const weights = new Map<string, WeightTensor>();
  let channels = 3;
  filters.forEach((count, index) => {
    const name = `convolution${index + 1}`;
    const scale = Math.sqrt(2 / (9 * channels));
    weights.set(`${name}/kernel`, drawNormal([3, 3, channels, count], scale, combineSeeds(seed, index)));
    weights.set(`${name}/bias`, zeros([count]));
    channels = count;
  });
  for (const [name, tensor] of createClassifierWeights(channels, classes, seed)) weights.set(name, tensor);
  return weights;
}

/** Seeded initial weights of the classifier on `features` numbers (Glorot initialisation). */
export function createClassifierWeights(features: number, classes: number, seed: number): Weights {
  const scale = Math.sqrt(2 / (features + classes));
  return new Map([
    [`${classifierName}/kernel`, drawNormal([features, classes], scale, combineSeeds(seed, 0xc1a5))],
    [`${classifierName}/bias`, zeros([classes])],
  ]);
}

function drawNormal(shape: number[], deviation: number, seed: number): WeightTensor {
  const random = createRandom(seed);
  const values = Float32Array.from({ length: shape.reduce((product, side) => product * side, 1) }, () => {
    // Box–Muller; 1 - random() avoids log(0).
    return deviation * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  });
  return { shape, values };
}

function zeros(shape: number[]): WeightTensor {
  return { shape, values: new Float32Array(shape.reduce((product, side) => product * side, 1)) };
}
