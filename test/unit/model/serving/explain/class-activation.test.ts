import { onnxNames } from '../../../../../contracts/registry/bundle.js';
import { classifierName, weightOf } from '../../../../../model/architectures/network.js';
import { createCnnWeights } from '../../../../../model/architectures/starting-weights.js';
import { assembleNetwork } from '../../../../../model/architectures/trained-network.js';
import { encodeOnnx } from '../../../../../model/export/onnx-graph.js';
import { drawSyntheticImage } from '../../../../../model/images/synthetic.js';
import { explainInThread } from '../../../../../model/serving/explain-job.js';
import { activationMap, logitOf, sumOf } from '../../../../../model/serving/explain/class-activation.js';
import { openGraph, type OpenGraph } from '../../../../support/explanation-fixture.js';

const classes = 3;
const bias = Float32Array.of(0.5, -1, 0.25);
let graph: OpenGraph;
let kernel: Float32Array;

beforeAll(async () => {
  const { operations, weights } = await assembleNetwork('cnn', createCnnWeights([4, 8, 8], classes, 1));
  kernel = weightOf(weights, `${classifierName}/kernel`).values;
  const withBias = new Map([...weights, [`${classifierName}/bias`, { shape: [classes], values: bias }]]);
  graph = await openGraph(encodeOnnx(operations, withBias));
});

afterAll(() => graph.release());

/** Logits by definition, from the features, minus their mean. */
async function logitsOf(bytes: Uint8Array): Promise<number[]> {
  const { [onnxNames.features]: features = new Float32Array() } = await graph.run(await graph.decode(bytes), [
    onnxNames.features,
  ]);
  const logits = Array.from(bias, (value, label) =>
    features.reduce((sum, feature, index) => sum + feature * (kernel[index * classes + label] ?? 0), value),
  );
  const mean = logits.reduce((sum, value) => sum + value, 0) / classes;
  return logits.map((value) => value - mean);
}

describe('the class activation map of a graph that Perennial exports', () => {
  it('adds up, with the bias of the classifier, to the logit of every class', async () => {
    const meanBias = bias.reduce((sum, value) => sum + value, 0) / classes;
    for (let index = 0; index < 4; index += 1) {
      const bytes = await drawSyntheticImage('dandelion', index);
      const expected = await logitsOf(bytes);
      for (let classIndex = 0; classIndex < classes; classIndex += 1) {
        const job = { kind: 'explain' as const, bytes, classIndex, overlay: false, neighbours: 0 };
        const { probabilities, explained } = await explainInThread(job, graph);
        const sum = sumOf(explained.map ?? []);
        const ownBias = (bias[classIndex] ?? 0) - meanBias;
        expect(explained.map).toHaveLength(28);
        expect(sum + ownBias).toBeCloseTo(expected[classIndex] ?? NaN, 4);
        expect(logitOf(probabilities, classIndex)).toBeCloseTo(expected[classIndex] ?? NaN, 4);
      }
    }
  });

  it('explains the most probable class unless another is named', async () => {
    const bytes = await drawSyntheticImage('grass', 3);
    const job = { kind: 'explain' as const, bytes, classIndex: null, overlay: false, neighbours: 0 };
    const { probabilities, explained } = await explainInThread(job, graph);
    expect(probabilities[explained.classIndex]).toBe(Math.max(...probabilities));
  });

  it('is replaced by the pixels for a graph without class activations', async () => {
    const old = { ...graph, outputs: graph.outputs.filter((name) => name !== onnxNames.classActivations) };
    const bytes = await drawSyntheticImage('grass', 3);
    const job = { kind: 'explain' as const, bytes, classIndex: 1, overlay: true, neighbours: 0 };
    const { explained } = await explainInThread(job, old);
    expect(explained).toMatchObject({ classIndex: 1, map: null, overlay: null });
    expect(explained.pixels).toEqual(await graph.decode(bytes));
  });
});

describe('logits', () => {
  it('are the inputs of a softmax, minus their mean', () => {
    const logits = [2, -1, 0.5];
    const weights = logits.map(Math.exp);
    const total = weights.reduce((sum, value) => sum + value, 0);
    const probabilities = weights.map((value) => value / total);
    expect(logits.map((_, index) => logitOf(probabilities, index))).toEqual([
      expect.closeTo(1.5, 9),
      expect.closeTo(-1.5, 9),
      expect.closeTo(0, 9),
    ]);
  });

  it('stay finite when a probability is 0', () => {
    expect(Number.isFinite(logitOf([1, 0], 1))).toBe(true);
  });

  it('do not change when a constant is added to all classes', () => {
    const values = Float32Array.of(1, 2, 3, 4, 0, 0, 2, 6);
    const shifted = values.map((value, index) => value + (index % 4));
    const map = (all: Float32Array): number[][] => activationMap({ classes: 2, rows: 2, columns: 2, values: all }, 0);
    expect(map(shifted)).toEqual(map(values));
    expect(map(values)).toEqual([
      [0.125, 0.25],
      [0.125, -0.25],
    ]);
  });
});
