import type onnxProto from 'onnx-proto';
import type { ImportForm } from '../../contracts/registry/import.js';
import { attributes, floatTensor, integerTensor, node } from '../export/onnx-parts.js';
import { refusal } from './refusal.js';

type Graph = onnxProto.onnx.IGraphProto;

/** Operators that change neither the value nor the meaning of a score. */
const passing: readonly string[] = ['Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Cast', 'Dropout'];
/** Operators whose result is a logit, because it has no bounds. */
const unbounded: readonly string[] = [
  'Gemm',
  'MatMul',
  'Add',
  'Conv',
  'FusedGemm',
  'FusedMatMul',
  'BatchNormalization',
];
const bounded: readonly string[] = ['Sigmoid', 'HardSigmoid'];
/** Operators whose result can be neither for a single score: it is negative as well, or always 1 or 0. */
const useless: readonly string[] = ['Tanh', 'Softsign', 'Softmax', 'LogSoftmax'];

/** The operator that computes an output; null if the output is an input or a constant. */
export function lastOperator(graph: Graph, output: string): string | null {
  const makers = new Map((graph.node ?? []).flatMap((each) => (each.output ?? []).map((name) => [name, each])));
  let maker = makers.get(output);
  // A graph has no cycles: reading it has checked the order of its nodes.
  while (maker && passing.includes(maker.opType ?? '')) maker = makers.get(maker.input?.[0] ?? '');
  return maker?.opType ?? null;
}

/** Whether a graph of two classes with an output of undeclared width ends as one with a single score does. */
export function endsInSigmoid(graph: Graph, output: string): boolean {
  return bounded.includes(lastOperator(graph, output) ?? '');
}

/** Refuses a graph with a single score whose end contradicts what the client says of its output. */
export function checkSingleScore(graph: Graph, score: string, output: ImportForm['output']): void {
  const operator = lastOperator(graph, score) ?? '';
  if (useless.includes(operator)) {
    throw refusal(
      `The graph ends in ${operator}, so its single output is neither a probability nor a logit.`,
      'Let the network end in a sigmoid and train it again.',
    );
  }
  if (output === 'probabilities' && unbounded.includes(operator)) {
    throw refusal(
      `The graph ends in ${operator}, so its single output is a logit and not a probability.`,
      'Send output=logits, and a sigmoid is added.',
    );
  }
  if (output === 'logits' && bounded.includes(operator)) {
    throw refusal(
      `The graph ends in ${operator}, so its single output is a probability already.`,
      'Omit output=logits.',
    );
  }
}

export interface GraphPart {
  nodes: onnxProto.onnx.INodeProto[];
  constants: onnxProto.onnx.ITensorProto[];
}

/** Nodes that turn a single score, [N] or [N,1], into the probabilities of both classes, [N,2]. */
export function bothProbabilities(score: string, result: string, output: ImportForm['output']): GraphPart {
  const [column, second, first] = ['adapted/column', 'adapted/second', 'adapted/first'];
  return {
    nodes: [
      node('Reshape', [score, 'adapted/column-shape'], column),
      node(output === 'logits' ? 'Sigmoid' : 'Identity', [column], second),
      node('Sub', ['adapted/one', second], first),
      node('Concat', [first, second], result, attributes({ axis: 1 })),
    ],
    constants: [integerTensor('adapted/column-shape', [-1, 1]), floatTensor('adapted/one', [], Float32Array.of(1))],
  };
}
