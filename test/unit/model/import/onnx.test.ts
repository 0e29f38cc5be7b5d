import { randomBytes } from 'node:crypto';
import onnxProto, { type onnx as shapes } from 'onnx-proto';
import { attributes, floatTensor, integerTensor, node, valueInfo } from '../../../../model/export/onnx-parts.js';
import { importModel } from '../../../../model/import/import-job.js';
import type { ImportJob } from '../../../../model/jobs.js';
import { tinyGraph } from '../../../support/tiny-graph.js';
import { withFolder } from '../../../support/training-fixtures.js';
import { importJobOf, refusalOf, takeGraph as take, writeUploads } from '../../../support/uploaded-models.js';

const { onnx } = onnxProto;
const { FLOAT, UINT8, DOUBLE } = onnx.TensorProto.DataType;
const classes = 3;

interface Given {
  input?: shapes.IValueInfoProto;
  output?: shapes.IValueInfoProto[];
  nodes?: shapes.INodeProto[];
  initializers?: shapes.ITensorProto[];
  model?: shapes.IModelProto;
}

/** A network as PyTorch exports them: float channels first, logits out; logit n is the mean of colour n. */
function channelsFirst(given: Given = {}): Uint8Array {
  const model = onnx.ModelProto.create({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      name: 'net',
      node: given.nodes ?? [
        node('GlobalAveragePool', ['image'], 'pooled'),
        node('Reshape', ['pooled', 'flat'], 'probabilities'),
      ],
      initializer: given.initializers ?? [integerTensor('flat', [0, -1])],
      input: [given.input ?? valueInfo('image', FLOAT, ['batch', 3, 224, 224])],
      output: given.output ?? [valueInfo('probabilities', FLOAT, ['batch', classes])],
    },
    ...given.model,
  });
  return onnx.ModelProto.encode(model).finish();
}

const logits = { output: 'logits' } as const;

describe('an uploaded ONNX graph', () => {
  it('gets the signature that is served, whatever its own is: channels first, floats, scaling, logits', async () => {
    const scaling = { mean: [100, 100, 100], std: [50, 100, 100] } satisfies ImportJob['scaling'];
    const { labels, answer, parityMaxAbsoluteError, notes } = await take(channelsFirst(), { ...logits, scaling });
    // Red first: (255 - 100) / 50 for red, (0 - 100) / 100 for the others. Sorted, the rose comes last.
    const [red, other] = [Math.exp(3.1), Math.exp(-1)];
    expect(labels).toEqual(['dandelion', 'grass', 'rose']);
    expect(answer[2]).toBeCloseTo(red / (red + 2 * other), 5);
    expect(answer[0]).toBeCloseTo(other / (red + 2 * other), 5);
    expect(parityMaxAbsoluteError).toBeNull();
    expect(notes.join(' ')).toContain('A softmax was added after its logits.');
  });

  it('keeps its own scaling, uint8, features and probabilities', async () => {
    const { answer, notes } = await take(tinyGraph(classes, 0));
    expect(answer[2]).toBeGreaterThan(0.9);
    expect(notes).toEqual([]);
  });

  it('may declare a fixed batch of one', async () => {
    const input = valueInfo('image', FLOAT, [1, 3, 224, 224]);
    const output = [valueInfo('probabilities', FLOAT, [1, classes])];
    expect((await take(channelsFirst({ input, output }), logits)).labels).toHaveLength(3);
  });

  const custom = { ...node('Cheat', ['image'], 'pooled'), domain: 'com.example' };
  const reshape = node('Reshape', ['pooled', 'flat'], 'probabilities');
  const inner = { name: 'then_branch', type: onnx.AttributeProto.AttributeType.GRAPH, g: { name: 'inner', node: [] } };
  const elsewhere = {
    name: 'weights',
    dims: [3],
    dataType: FLOAT,
    dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
    externalData: [{ key: 'location', value: '../../etc/passwd' }],
  };
  const flat = integerTensor('flat', [0, -1]);
  const withWeights = (values: number[]): Given => ({
    nodes: [
      node('GlobalAveragePool', ['image'], 'pooled'),
      node('Reshape', ['pooled', 'flat'], 'row'),
      node('Add', ['row', 'weights'], 'probabilities'),
    ],
    initializers: [flat, floatTensor('weights', [classes], Float32Array.from(values))],
  });

  const refusals: Record<string, { graph: () => Uint8Array; says: RegExp; changes?: Partial<ImportJob> }> = {
    'random bytes': { graph: () => randomBytes(10_000), says: /not an ONNX model/ },
    'an empty file': { graph: () => new Uint8Array(), says: /holds no graph/ },
    'a file cut off in the middle': { graph: () => tinyGraph(3, 0).subarray(0, 300), says: /incomplete/ },
    'a custom operator': {
      graph: () => channelsFirst({ nodes: [custom, reshape] }),
      says: /custom code: com\.example\.Cheat/,
    },
    'an operator with a name that no database takes': {
      graph: () => channelsFirst({ nodes: [node(`a\0b${'c'.repeat(10_000)}`, ['image'], 'pooled'), reshape] }),
      says: /^[^\0]{100,1000}$/,
    },
    'random numbers': {
      graph: () => channelsFirst({ nodes: [node('RandomNormalLike', ['image'], 'pooled'), reshape] }),
      says: /RandomNormalLike/,
    },
    'control flow': {
      graph: () => channelsFirst({ nodes: [node('Identity', ['image'], 'pooled', [inner]), reshape] }),
      says: /subgraph/,
    },
    'a loop': { graph: () => channelsFirst({ nodes: [node('Loop', ['image'], 'pooled'), reshape] }), says: /Loop/ },
    'its own functions': {
      graph: () => channelsFirst({ model: { functions: [{ name: 'f', node: [] }] } }),
      says: /its own functions/,
    },
    'weights in another file': {
      graph: () => channelsFirst({ initializers: [flat, elsewhere] }),
      says: /another file/,
    },
    'weights in another file, within a constant': {
      graph: () => {
        const value = { name: 'value', type: onnx.AttributeProto.AttributeType.TENSOR, t: elsewhere };
        return channelsFirst({ nodes: [node('Constant', [], 'pooled', [value]), reshape] });
      },
      says: /another file/,
    },
    'NaN among its weights': { graph: () => channelsFirst(withWeights([1, NaN, 2])), says: /NaN/ },
    'answers that are infinite': { graph: () => channelsFirst(withWeights([1, Infinity, 2])), says: /NaN or infinity/ },
    'logits that are called probabilities': {
      graph: () => channelsFirst(),
      changes: { output: 'probabilities' },
      says: /not probabilities.*output=logits/,
    },
    'another number of classes': {
      graph: () => channelsFirst(),
      changes: { labels: ['a', 'b'] },
      says: /3 numbers per image, but 2 labels/,
    },
    'another number of classes, undeclared': {
      graph: () => channelsFirst({ output: [valueInfo('probabilities', FLOAT, ['batch', 'classes'])] }),
      changes: { labels: ['a', 'b', 'c', 'd'] },
      says: /ONNX Runtime cannot run|3 numbers per image, but 4 labels/,
    },
    'images of another size': {
      graph: () => channelsFirst({ input: valueInfo('image', FLOAT, ['batch', 3, 299, 299]) }),
      says: /\[any,3,299,299\].*224/,
    },
    'one channel': {
      graph: () => channelsFirst({ input: valueInfo('image', FLOAT, ['batch', 1, 224, 224]) }),
      says: /\[any,1,224,224\]/,
    },
    'an input that is no image': {
      graph: () => channelsFirst({ input: valueInfo('image', FLOAT, ['batch', 512]) }),
      says: /\[any,512\]/,
    },
    doubles: {
      graph: () => channelsFirst({ input: valueInfo('image', DOUBLE, ['batch', 3, 224, 224]) }),
      says: /double/,
    },
    'an output for every position': {
      graph: () => channelsFirst({ output: [valueInfo('probabilities', FLOAT, ['batch', 3, 7, 7])] }),
      says: /\[any,3,7,7\]/,
    },
    'several outputs': {
      graph: () => channelsFirst({ output: ['a', 'b'].map((name) => valueInfo(name, FLOAT, ['batch', 3])) }),
      says: /2 outputs/,
    },
    'nodes that lead nowhere': {
      graph: () => channelsFirst({ nodes: [node('Relu', ['nothing'], 'probabilities')] }),
      says: /ONNX Runtime cannot load/,
    },
    'a batch of one inside': {
      graph: () => channelsFirst({ initializers: [integerTensor('flat', [1, classes])] }),
      says: /batch of any size/,
    },
    'answers that depend on the rest of the batch': {
      graph: () =>
        channelsFirst({
          nodes: [
            node('ReduceMean', ['image'], 'pooled', attributes({ axes: [0, 2, 3], keepdims: 1 })),
            node('Sub', ['image', 'pooled'], 'centred'),
            node('GlobalAveragePool', ['centred'], 'means'),
            node('Reshape', ['means', 'flat'], 'probabilities'),
          ],
        }),
      says: /between a batch and the image alone/,
    },
    'scaling for a graph that takes bytes': {
      graph: () => tinyGraph(classes, 0),
      changes: { scaling: { mean: 0, std: 255 }, output: 'probabilities' },
      says: /uint8, which cannot be scaled/,
    },
    'an old opset': {
      graph: () => channelsFirst({ model: { opsetImport: [{ domain: '', version: 5 }] } }),
      says: /opset 5/,
    },
  };

  it.each(Object.keys(refusals))('is refused for %s', async (name) => {
    const { graph, says, changes } = refusals[name] ?? { graph: () => new Uint8Array(), says: /never/ };
    const { code, message } = await refusalOf(take(graph(), { ...logits, ...changes }));
    expect(message).toMatch(says);
    expect(code).toBe('bundle_invalid');
  });

  it('is refused with a second file beside it', () =>
    withFolder(async (folder) => {
      const files = await writeUploads(folder, { 'a.onnx': channelsFirst(), 'b.onnx': channelsFirst() });
      await expect(importModel(importJobOf(files, folder))).rejects.toThrow('single file');
    }));

  it('may take uint8 channels first', async () => {
    const nodes = [
      node('Cast', ['image'], 'floats', attributes({ to: FLOAT })),
      node('GlobalAveragePool', ['floats'], 'pooled'),
      reshape,
    ];
    const input = valueInfo('image', UINT8, ['batch', 3, 224, 224]);
    const { answer } = await take(channelsFirst({ input, nodes }), logits);
    expect(answer[2]).toBeCloseTo(1, 5);
  });
});
