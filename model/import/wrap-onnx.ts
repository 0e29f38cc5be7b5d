import onnxProto from 'onnx-proto';
import type { z } from 'zod';
import { onnxNames } from '../../contracts/registry/bundle.js';
import type { scalingSchema } from '../../contracts/registry/import.js';
import { inputSize } from '../../contracts/training/training.js';
import { attributes, floatTensor, integerTensor, node, valueInfo } from '../export/onnx-parts.js';
import type { GraphSignature } from './graph-signature.js';
import { plainDomain, type PlainModel } from './read-onnx.js';
import { refusal } from './refusal.js';
import { bothProbabilities, type GraphPart } from './single-score.js';

const { onnx } = onnxProto;
type Graph = onnxProto.onnx.IGraphProto;
type Node = onnxProto.onnx.INodeProto;
export type Scaling = z.infer<typeof scalingSchema>;

export interface Wrapping {
  signature: GraphSignature;
  /** Set when the graph expects scaled pixels: they become (pixel - mean) / std before it. */
  scaling: Scaling | null;
  output: 'probabilities' | 'logits';
  /** For each class of the result, its index in the graph's output. */
  order: readonly number[];
}

/** Prefix of all names from the upload, so that they cannot clash with ours. */
const uploaded = 'uploaded/';
const oldestIrVersion = 8;

/**
 * Adapts a graph to the signature of every bundle's model: `image` is uint8 [N,224,224,3] RGB, `probabilities` have one
 * row per image. Layout, type, scaling and softmax become part of the graph.
 */
export function wrapOnnx({ graph, irVersion, opsets }: PlainModel, wrapping: Wrapping): Uint8Array {
  const { signature, order } = wrapping;
  const before = adaptInput(wrapping);
  const after = adaptOutput(wrapping);
  const { UINT8, FLOAT } = onnx.TensorProto.DataType;
  const model = onnx.ModelProto.create({
    irVersion: Math.max(irVersion, oldestIrVersion),
    opsetImport: [...opsets]
      .filter(([domain]) => isUsed(graph, domain))
      .map(([domain, version]) => ({ domain, version })),
    producerName: 'perennial',
    graph: {
      name: 'perennial',
      node: [...before.nodes, ...(graph.node ?? []).map(renameNode), ...after.nodes],
      initializer: [
        ...(graph.initializer ?? []).map((tensor) => ({ ...tensor, name: rename(tensor.name ?? '') })),
        ...before.constants,
        ...after.constants,
      ],
      input: [valueInfo(onnxNames.image, UINT8, ['N', inputSize, inputSize, 3])],
      output: [
        valueInfo(onnxNames.probabilities, FLOAT, ['N', order.length]),
        ...(signature.features === null ? [] : [valueInfo(onnxNames.features, FLOAT, ['N', 'F'])]),
      ],
    },
  });
  return onnx.ModelProto.encode(model).finish();
}

/** An empty name is an omitted optional input. */
function rename(name: string): string {
  return name === '' ? '' : `${uploaded}${name}`;
}

function renameNode(original: Node): Node {
  const { input, output, opType, attribute } = original;
  return {
    opType: opType ?? '',
    attribute: attribute ?? [],
    domain: plainDomain(original.domain),
    input: (input ?? []).map(rename),
    output: (output ?? []).map(rename),
  };
}

function isUsed(graph: Graph, domain: string): boolean {
  return domain === '' || (graph.node ?? []).some((each) => plainDomain(each.domain) === domain);
}

function adaptInput({ signature: { input }, scaling }: Wrapping): GraphPart {
  const part: GraphPart = { nodes: [], constants: [] };
  let current: string = onnxNames.image;
  const add = (opType: string, extra: string[] = [], attribute: Node['attribute'] = []): void => {
    const next = `adapted/${opType}`;
    part.nodes.push(node(opType, [current, ...extra], next, attribute ?? []));
    current = next;
  };
  // Transpose before the cast: moving bytes is cheaper than moving floats.
  if (input.channelsFirst) add('Transpose', [], attributes({ perm: [0, 3, 1, 2] }));
  if (input.isFloat) add('Cast', [], attributes({ to: onnx.TensorProto.DataType.FLOAT }));
  if (scaling) {
    if (!input.isFloat) {
      throw refusal('The graph takes uint8, which cannot be scaled before it.', 'Omit the preprocessing.');
    }
    part.constants.push(perChannel('adapted/mean', scaling.mean, input), perChannel('adapted/std', scaling.std, input));
    add('Sub', ['adapted/mean']);
    add('Div', ['adapted/std']);
  }
  part.nodes.push(node('Identity', [current], rename(input.name)));
  return part;
}

function perChannel(
  name: string,
  value: Scaling['mean'],
  { channelsFirst }: GraphSignature['input'],
): onnxProto.onnx.ITensorProto {
  if (typeof value === 'number') return floatTensor(name, [], Float32Array.of(value));
  return floatTensor(name, channelsFirst ? [1, 3, 1, 1] : [1, 1, 1, 3], Float32Array.from(value));
}

function adaptOutput({ signature: { scores, isSingle, features }, output, order }: Wrapping): GraphPart {
  const [both, ordered] = ['adapted/both', 'adapted/ordered'];
  const part: GraphPart = isSingle ? bothProbabilities(rename(scores), both, output) : { nodes: [], constants: [] };
  part.constants.push(integerTensor('adapted/order', [...order]));
  const source = isSingle ? both : rename(scores);
  part.nodes.push(node('Gather', [source, 'adapted/order'], ordered, attributes({ axis: 1 })));
  part.nodes.push(
    output === 'logits' && !isSingle
      ? node('Softmax', [ordered], onnxNames.probabilities, attributes({ axis: 1 }))
      : node('Identity', [ordered], onnxNames.probabilities),
  );
  if (features !== null) part.nodes.push(node('Identity', [rename(features)], onnxNames.features));
  return part;
}
