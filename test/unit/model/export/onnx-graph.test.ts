import { InferenceSession, Tensor } from 'onnxruntime-node';
import { onnxNames } from '../../../../contracts/registry/bundle.js';
import { inputSize } from '../../../../contracts/training/training.js';
import { backboneFeatures } from '../../../../model/architectures/backbone-digest.js';
import { classifierName, weightOf } from '../../../../model/architectures/network.js';
import { createClassifierWeights, createCnnWeights } from '../../../../model/architectures/starting-weights.js';
import { assembleNetwork, type TrainedNetwork } from '../../../../model/architectures/trained-network.js';
import { encodeOnnx } from '../../../../model/export/onnx-graph.js';
import { floatsOf } from '../../../../model/export/parity.js';
import { softmax } from '../../../../model/evaluation/temperature.js';
import { pixelBytes } from '../../../../model/images/decode.js';
import { createRandom } from '../../../../model/seeded-random.js';

const classes = 3;
const images = 2;

/** A classifier whose bias is not zero, so that a test sees where it is added. */
async function networkOf(architecture: 'cnn' | 'efficientnet-lite0'): Promise<TrainedNetwork> {
  const trained =
    architecture === 'cnn'
      ? createCnnWeights([4, 8, 8], classes, 1)
      : createClassifierWeights(backboneFeatures, classes, 1);
  const network = await assembleNetwork(architecture, trained);
  const bias = { shape: [classes], values: Float32Array.of(0.5, -1, 0.25) };
  return { ...network, weights: new Map([...network.weights, [`${classifierName}/bias`, bias]]) };
}

function noise(): Uint8Array {
  const random = createRandom(11);
  return Uint8Array.from({ length: images * pixelBytes }, () => Math.floor(random() * 256));
}

describe.each([
  ['cnn', 28],
  ['efficientnet-lite0', 7],
] as const)('the ONNX graph of %s', (architecture, side) => {
  it('has class activations that add up to the logits', async () => {
    const network = await networkOf(architecture);
    const session = await InferenceSession.create(encodeOnnx(network.operations, network.weights));
    const image = new Tensor('uint8', noise(), [images, inputSize, inputSize, 3]);
    const outputs = await session.run({ [onnxNames.image]: image });
    expect(outputs[onnxNames.classActivations]?.dims).toEqual([images, classes, side, side]);
    const places = floatsOf(outputs, onnxNames.classActivations);
    const bias = weightOf(network.weights, `${classifierName}/bias`).values;
    const logits = Array.from({ length: images * classes }, (_, row) => {
      const own = places.subarray(row * side * side, (row + 1) * side * side);
      return own.reduce((sum, value) => sum + value, 0) / own.length + (bias[row % classes] ?? 0);
    });
    const probabilities = floatsOf(outputs, onnxNames.probabilities);
    for (let first = 0; first < logits.length; first += classes) {
      const expected = softmax(logits.slice(first, first + classes), 1);
      const found = [...probabilities.subarray(first, first + classes)];
      // Logarithms compare logits, which probabilities near 0 or 1 would hide.
      expected.forEach((value, label) => {
        expect(Math.log(found[label] ?? NaN)).toBeCloseTo(Math.log(value), 4);
      });
    }
    await session.release();
  });
});
