import { weightOf, type Weights, type WeightTensor } from '../architectures/network.js';
import { readTensor } from '../architectures/network-tensors.js';
import { tf } from '../tensorflow.js';
import type { TrainedVariable } from './trainable.js';

const decayOfMean = 0.9;
const decayOfVariance = 0.999;
const epsilon = 1e-7;

/** State of Adam between two steps. */
export interface AdamState {
  step: number;
  means: Weights;
  variances: Weights;
}

export interface Adam {
  /** Updates the variables by one step; `gradients` are in their order. */
  apply(gradients: readonly tf.Tensor[]): void;
  read(): AdamState;
  dispose(): void;
}

interface Slot {
  target: TrainedVariable;
  mean: tf.Variable;
  variance: tf.Variable;
}

/**
 * Adam (Kingma and Ba, 2015) with an L2 penalty of weightDecay / 2 · |kernel|² added to the loss, through its gradient;
 * biases have no penalty. TF.js has an Adam, but its state cannot be saved and restored exactly.
 */
export function createAdam(
  targets: readonly TrainedVariable[],
  { learningRate, weightDecay }: { learningRate: number; weightDecay: number },
  start: AdamState | null,
): Adam {
  let step = start?.step ?? 0;
  const slots = targets.map((target): Slot => {
    const initial = (state: Weights | undefined): tf.Variable => startMoment(target, state);
    return { target, mean: initial(start?.means), variance: initial(start?.variances) };
  });
  return {
    apply(gradients) {
      step += 1;
      const meanBias = 1 - decayOfMean ** step;
      const varianceBias = 1 - decayOfVariance ** step;
      tf.tidy(() => {
        slots.forEach((slot, index) => {
          const gradient = gradients[index];
          if (!gradient) throw new Error(`There is no gradient for ${slot.target.name}.`);
          const decay = slot.target.name.endsWith('/kernel') ? weightDecay : 0;
          updateMoments(slot, decay === 0 ? gradient : gradient.add(slot.target.variable.mul(decay)));
          const size = slot.variance.div(varianceBias).sqrt().add(epsilon);
          const rate = (learningRate * slot.target.rateScale) / meanBias;
          slot.target.variable.assign(slot.target.variable.sub(slot.mean.mul(rate).div(size)));
        });
      });
    },
    read: () => ({
      step,
      means: new Map(slots.map(({ target, mean }) => [target.name, readTensor(mean)])),
      variances: new Map(slots.map(({ target, variance }) => [target.name, readTensor(variance)])),
    }),
    dispose() {
      for (const { mean, variance } of slots) tf.dispose([mean, variance]);
    },
  };
}

function updateMoments({ mean, variance }: Slot, gradient: tf.Tensor): void {
  mean.assign(mean.mul(decayOfMean).add(gradient.mul(1 - decayOfMean)));
  variance.assign(variance.mul(decayOfVariance).add(gradient.square().mul(1 - decayOfVariance)));
}

function startMoment({ name, variable }: TrainedVariable, state: Weights | undefined): tf.Variable {
  const saved: WeightTensor | null = state ? weightOf(state, name) : null;
  return tf.tidy(() => tf.variable(saved ? tf.tensor(saved.values, saved.shape) : tf.zerosLike(variable), false));
}
