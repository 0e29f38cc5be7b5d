import { join } from 'node:path';
import { inputSize } from '../../contracts/training/training.js';
import { PerennialError } from '../../contracts/errors.js';
import { loadBackbone } from '../architectures/backbone.js';
import { backboneFeatures } from '../architectures/backbone-digest.js';
import { classifierOperation, cnnOperations } from '../architectures/cnn.js';
import type { Operation, Weights } from '../architectures/network.js';
import { createTensors, disposeTensors, type NetworkTensors } from '../architectures/network-tensors.js';
import { runNetwork, scaleImages } from '../architectures/run-network.js';
import { createClassifierWeights, createCnnWeights } from '../architectures/starting-weights.js';
import { pixelBytes } from '../images/decode.js';
import type { ImageFile, TrainableJob } from '../jobs.js';
import { combineSeeds } from '../seeded-random.js';
import { tf } from '../tensorflow.js';
import { augment } from './augment.js';
import { createPixelStore } from './pixel-store.js';
import type { Trainable, TrainedVariable } from './trainable.js';
import { createVariables, disposeVariables } from './variables.js';

/**
 * Learning rate of pretrained blocks relative to the new classifier's: at the full rate they would lose what they have
 * learnt before the classifier has learnt anything.
 */
const pretrainedRateScale = 0.01;

/** A network whose last operations are trained on augmented images while those before them are frozen. */
interface PartlyTrained {
  frozen: readonly Operation[];
  frozenWeights: Weights;
  trained: readonly Operation[];
  variables: TrainedVariable[];
}

/** The three-block network, trained from scratch. */
export function createCnn({ hyperparameters, labels }: TrainableJob): PartlyTrained {
  const weights = createCnnWeights(hyperparameters.filters, labels.length, hyperparameters.seed);
  return {
    frozen: [],
    frozenWeights: new Map(),
    trained: [...cnnOperations, classifierOperation],
    variables: createVariables(weights),
  };
}

/** The backbone with its last `fineTuneBlocks` blocks and what follows them trained further, and a new classifier. */
export async function createFineTuned({ hyperparameters, labels }: TrainableJob): Promise<PartlyTrained> {
  const { operations, blockStarts, weights } = await loadBackbone();
  const firstTrained = blockStarts.at(-hyperparameters.fineTuneBlocks) ?? '';
  const cut = operations.findIndex(({ name }) => name === firstTrained);
  const trained = operations.slice(cut);
  const isTrained = (tensor: string): boolean => trained.some(({ name }) => tensor.startsWith(`${name}/`));
  const pick = (wanted: boolean): Weights => new Map([...weights].filter(([name]) => isTrained(name) === wanted));
  const classifier = createClassifierWeights(backboneFeatures, labels.length, hyperparameters.seed);
  return {
    frozen: operations.slice(0, cut),
    frozenWeights: pick(false),
    trained: [...trained, classifierOperation],
    variables: [...createVariables(classifier), ...createVariables(pick(true), pretrainedRateScale)],
  };
}

/** Makes a network trainable on the job's images, which are decoded once into a file of the output folder. */
export async function createImageTrainable(
  job: TrainableJob,
  sha256s: readonly string[],
  network: PartlyTrained,
): Promise<Trainable> {
  const pixelStore = await createPixelStore(join(job.outputFolder, 'pixels.u8'), orderImages(job.images, sha256s));
  const frozenTensors = createTensors(network.frozenWeights);
  const tensors = new Map(network.variables.map(({ name, variable }) => [name, variable]));
  const seedOfView = (epoch: number, row: number): number => combineSeeds(job.hyperparameters.seed, epoch, row);
  return {
    variables: network.variables,
    async trainingInputs(epoch, rows) {
      const pixels = await pixelStore.read(rows);
      rows.forEach((row, index) => {
        const from = index * pixelBytes;
        pixels.set(augment(pixels.subarray(from, from + pixelBytes), seedOfView(epoch, row)), from);
      });
      return runFrozen(network, frozenTensors, pixels);
    },
    inputs: async (rows) => runFrozen(network, frozenTensors, await pixelStore.read(rows)),
    logits: (inputs) => runNetwork(network.trained, tensors, inputs, network.frozen.at(-1)?.name),
    async dispose() {
      disposeTensors(frozenTensors);
      disposeVariables(network.variables);
      await pixelStore.dispose();
    },
  };
}

function runFrozen({ frozen }: PartlyTrained, tensors: NetworkTensors, pixels: Uint8Array): tf.Tensor {
  return tf.tidy(() => {
    const images = tf.tensor4d(pixels, [pixels.length / pixelBytes, inputSize, inputSize, 3], 'int32').toFloat();
    return runNetwork(frozen, tensors, scaleImages(images));
  });
}

function orderImages(images: readonly ImageFile[], sha256s: readonly string[]): ImageFile[] {
  const bySha256 = new Map(images.map((image) => [image.sha256, image]));
  return sha256s.map((sha256) => {
    const image = bySha256.get(sha256);
    if (image) return image;
    throw new PerennialError('bad_request', `The job lists example ${sha256} without its image file.`);
  });
}
