import { hyperparametersSchema } from '../../../../contracts/training/training.js';
import { backboneFeatures } from '../../../../model/architectures/backbone-digest.js';
import { createRandom } from '../../../../model/seeded-random.js';
import { crossValidate, type CrossValidated } from '../../../../model/training/cross-validate.js';
import { tf } from '../../../../model/tensorflow.js';

const rows = Array.from({ length: 100 }, (_, row) => row);

async function validate(distance: number): Promise<CrossValidated> {
  const random = createRandom(3);
  const truths = rows.map((row) => row % 2);
  const features = Float32Array.from({ length: 100 * backboneFeatures }, (_, index) => {
    const truth = truths[Math.floor(index / backboneFeatures)] ?? 0;
    return random() + (index % backboneFeatures < 20 ? distance * truth : 0);
  });
  const before = tf.memory().numTensors;
  const result = await crossValidate({
    features,
    truths,
    classes: 2,
    rows,
    hyperparameters: hyperparametersSchema.parse({}),
    epochs: 10,
  });
  expect(tf.memory().numTensors).toBe(before);
  return result;
}

describe('cross-validation', () => {
  it('finds what can be learnt', async () => {
    const { summary, logits } = await validate(1);
    const { folds, accuracies, meanAccuracy } = summary;
    expect(folds).toBe(5);
    expect(accuracies).toHaveLength(5);
    expect(meanAccuracy).toBeGreaterThan(0.95);
    const right = logits.filter((row, image) => row.indexOf(Math.max(...row)) === image % 2).length;
    expect(right / rows.length).toBeCloseTo(meanAccuracy, 10);
  });

  it('finds nothing in noise, though each classifier could learn its own images by heart', async () => {
    const { meanAccuracy } = (await validate(0)).summary;
    expect(meanAccuracy).toBeGreaterThan(0.3);
    expect(meanAccuracy).toBeLessThan(0.7);
  });
});
