import { createAdam } from '../../../../model/training/adam.js';
import { createVariables, disposeVariables } from '../../../../model/training/variables.js';
import { tf } from '../../../../model/tensorflow.js';

const hyperparameters = { learningRate: 0.1, weightDecay: 0.5 };
const gradients = [0.4, -0.2, 0.1];

function step(adam: ReturnType<typeof createAdam>, gradient: number): void {
  tf.tidy(() => adam.apply([tf.tensor1d([gradient])]));
}

/** Adam by the book, in double precision, for one number. */
function textbook(start: number, decay: number): number {
  let [weight, mean, variance] = [start, 0, 0];
  gradients.forEach((plain, index) => {
    const gradient = plain + decay * weight;
    mean = 0.9 * mean + 0.1 * gradient;
    variance = 0.999 * variance + 0.001 * gradient ** 2;
    const unbiased = { mean: mean / (1 - 0.9 ** (index + 1)), variance: variance / (1 - 0.999 ** (index + 1)) };
    weight -= (hyperparameters.learningRate * unbiased.mean) / (Math.sqrt(unbiased.variance) + 1e-7);
  });
  return weight;
}

describe('Adam', () => {
  it.each([
    ['a kernel, with the L2 penalty', 'classifier/kernel', 0.5],
    ['a bias, without it', 'classifier/bias', 0],
  ])('moves %s, as the textbook says', (_, name, decay) => {
    const before = tf.memory().numTensors;
    const variables = createVariables(new Map([[name, { shape: [1], values: Float32Array.of(0.7) }]]));
    const adam = createAdam(variables, hyperparameters, null);
    for (const gradient of gradients) step(adam, gradient);
    expect(variables[0]?.variable.dataSync()[0]).toBeCloseTo(textbook(0.7, decay), 5);
    adam.dispose();
    disposeVariables(variables);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('resumes from its state with bit-identical results', () => {
    const start = new Map([['a/kernel', { shape: [1], values: Float32Array.of(0.3) }]]);
    const undisturbed = createVariables(start);
    const adam = createAdam(undisturbed, hyperparameters, null);
    for (const gradient of gradients.slice(0, 2)) step(adam, gradient);
    const state = adam.read();
    const resumed = createVariables(
      new Map([['a/kernel', { shape: [1], values: Float32Array.from(undisturbed[0]?.variable.dataSync() ?? []) }]]),
    );
    const second = createAdam(resumed, hyperparameters, state);
    step(adam, 0.1);
    step(second, 0.1);
    expect(resumed[0]?.variable.dataSync()).toEqual(undisturbed[0]?.variable.dataSync());
    expect(second.read()).toEqual(adam.read());
    adam.dispose();
    second.dispose();
    disposeVariables([...undisturbed, ...resumed]);
  });

  it('moves pretrained weights by their share of the learning rate', () => {
    const weights = new Map([['a/kernel', { shape: [1], values: Float32Array.of(0) }]]);
    const variables = [...createVariables(weights), ...createVariables(weights, 0.01)];
    const adam = createAdam(variables, { learningRate: 0.1, weightDecay: 0 }, null);
    tf.tidy(() => adam.apply([tf.tensor1d([1]), tf.tensor1d([1])]));
    const [whole = 0, part = 0] = variables.map(({ variable }) => variable.dataSync()[0]);
    expect(part).toBeCloseTo(whole / 100, 7);
    adam.dispose();
    disposeVariables(variables);
  });
});
