import { InferenceSession, Tensor } from 'onnxruntime-node';
import { onnxNames } from '../../../../contracts/registry/bundle.js';
import { inputSize } from '../../../../contracts/training/training.js';
import { backboneFeatures } from '../../../../model/architectures/backbone-digest.js';
import { classifierName, weightOf } from '../../../../model/architectures/network.js';
import { createClassifierWeights, createCnnWeights } from '../../../../model/architectures/starting-weights.js';
import { assembleNetwork, type TrainedNetwork } from '../../../../model/architectures/trained-network.js';
import { softmax } from '../../../../model/evaluation/temperature.js';
import { judgeQuantization } from '../../../../model/export/judge-quantization.js';
import { observeActivations, type Observed } from '../../../../model/export/observe-activations.js';
import { encodeOnnx } from '../../../../model/export/onnx-graph.js';
import { addClassifierTo, encodeInt8Layers } from '../../../../model/export/onnx-int8.js';
import { floatsOf, relativeError } from '../../../../model/export/parity.js';
import { withOnnx, type OnnxAnswers } from '../../../../model/export/run-onnx.js';
import { decodeBatches } from '../../../../model/features/decode-batches.js';
import type { ImageFile } from '../../../../model/jobs.js';
import { createImageSet, withFolder } from '../../../support/training-fixtures.js';

const classes = 2;

function networkOf(architecture: 'cnn' | 'efficientnet-lite0'): Promise<TrainedNetwork> {
  return architecture === 'cnn'
    ? assembleNetwork('cnn', createCnnWeights([8, 12, 16], classes, 1))
    : assembleNetwork('efficientnet-lite0', createClassifierWeights(backboneFeatures, classes, 1));
}

function encodeInt8Onnx(
  operations: TrainedNetwork['operations'],
  weights: TrainedNetwork['weights'],
  observed: ReadonlyMap<string, Observed>,
): Uint8Array {
  return addClassifierTo(encodeInt8Layers(operations, weights, observed), operations, weights);
}

interface Given {
  network: TrainedNetwork;
  images: ImageFile[];
  observed: Map<string, Observed>;
  pixels: Uint8Array;
}

/** A network, its activation statistics on synthetic images, and the pixels of them all. */
async function withObserved<T>(
  architecture: 'cnn' | 'efficientnet-lite0',
  work: (given: Given) => Promise<T>,
): Promise<T> {
  return withFolder(async (folder) => {
    const [network, { images }] = await Promise.all([networkOf(architecture), createImageSet(folder, 6, {})]);
    const observed = await observeActivations(network.operations, network.weights, images);
    for await (const { pixels } of decodeBatches(images, images.length)) {
      return work({ network, images, observed, pixels });
    }
    throw new Error('No image was drawn.');
  });
}

const predict = (model: Uint8Array, { images, pixels }: Given): Promise<OnnxAnswers> =>
  withOnnx(model, (run) => run(pixels, images.length));

describe.each([
  ['cnn', 0.03],
  ['efficientnet-lite0', 0.15],
] as const)('the 8-bit network of %s', (architecture, tolerance) => {
  it('gives nearly the features of the 32-bit one, from a file at most a third as large', () =>
    withObserved(architecture, async (given) => {
      const { operations, weights } = given.network;
      const [large, small] = [encodeOnnx(operations, weights), encodeInt8Onnx(operations, weights, given.observed)];
      const [expected, found] = await Promise.all([predict(large, given), predict(small, given)]);
      expected.features.forEach((features, image) => {
        const error = relativeError(features, found.features[image] ?? new Float32Array());
        expect(error).toBeLessThan(tolerance);
        // Bytes are coarser: an error of nothing would mean that the network was not quantized.
        expect(error).toBeGreaterThan(1e-4);
      });
      if (architecture === 'efficientnet-lite0') expect(small.length).toBeLessThan(large.length / 3);
    }));

  it('has the inputs and outputs of the 32-bit one, and class activations that add up to its logits', () =>
    withObserved(architecture, async ({ network, observed, pixels, images }) => {
      const session = await InferenceSession.create(encodeInt8Onnx(network.operations, network.weights, observed));
      const large = await InferenceSession.create(encodeOnnx(network.operations, network.weights));
      expect([session.inputNames, session.outputNames]).toEqual([large.inputNames, large.outputNames]);
      await large.release();
      const image = new Tensor('uint8', pixels, [images.length, inputSize, inputSize, 3]);
      const outputs = await session.run({ [onnxNames.image]: image });
      const activations = floatsOf(outputs, onnxNames.classActivations);
      const places = activations.length / (images.length * classes);
      const bias = weightOf(network.weights, `${classifierName}/bias`).values;
      const logits = Array.from({ length: classes }, (_, label) => {
        const own = activations.subarray(label * places, (label + 1) * places);
        return own.reduce((sum, value) => sum + value, 0) / places + (bias[label] ?? 0);
      });
      const probabilities = floatsOf(outputs, onnxNames.probabilities);
      softmax(logits, 1).forEach((expected, label) => {
        expect(Math.log(probabilities[label] ?? NaN)).toBeCloseTo(Math.log(expected), 4);
      });
      await session.release();
    }));

  it('is the same whenever it is made from the same images', () =>
    withObserved(architecture, async ({ network: { operations, weights }, observed, images }) => {
      const again = await observeActivations(operations, weights, images);
      expect([...again]).toEqual([...observed]);
      const [first, second] = [observed, again].map((each) => Buffer.from(encodeInt8Onnx(operations, weights, each)));
      expect(second?.equals(first ?? Buffer.alloc(0))).toBe(true);
    }));
});

describe('a wrong range', () => {
  it('fails the checks', () =>
    withObserved('cnn', async (given) => {
      const { operations, weights } = given.network;
      const sure = new Map(weights).set(`${classifierName}/kernel`, {
        shape: [16, classes],
        values: weightOf(weights, `${classifierName}/kernel`).values.map((value) => value * 50),
      });
      const good = await predict(encodeOnnx(operations, sure), given);
      const truths = good.probabilities.map(([first = 0, second = 0]) => (second > first ? 1 : 0));
      const judge = async (observed: ReadonlyMap<string, Observed>): Promise<boolean> => {
        const { probabilities } = await predict(encodeInt8Onnx(operations, sure, observed), given);
        return judgeQuantization(good.probabilities, probabilities, truths).passed;
      };
      expect(await judge(given.observed)).toBe(true);
      const { range, means } = given.observed.get('convolution2') ?? { range: [0, 0], means: new Float32Array() };
      expect(await judge(new Map(given.observed).set('convolution2', { range: [0, range[1] / 50], means }))).toBe(
        false,
      );
    }));

  it('is refused where none was observed', async () => {
    const { operations, weights } = await networkOf('cnn');
    expect(() => encodeInt8Onnx(operations, weights, new Map())).toThrow('convolution1');
    const endless: Observed = { range: [0, Infinity], means: new Float32Array(8) };
    expect(() => encodeInt8Onnx(operations, weights, new Map([['convolution1', endless]]))).toThrow('convolution1');
  });
});
