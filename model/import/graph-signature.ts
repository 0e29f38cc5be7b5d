import onnxProto from 'onnx-proto';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import { refusal } from './refusal.js';
import { endsInSigmoid } from './single-score.js';

const { onnx } = onnxProto;
type Graph = onnxProto.onnx.IGraphProto;
type ValueInfo = onnxProto.onnx.IValueInfoProto;

/** Input and outputs of a graph. */
export interface GraphSignature {
  input: { name: string; channelsFirst: boolean; isFloat: boolean };
  /** Name of the output with one number per class, or with a single number for two classes. */
  scores: string;
  /** Whether the output is a single number, about the second of two classes. */
  isSingle: boolean;
  /** Name of the output with the features; null when the graph has none. */
  features: string | null;
}

const wanted = `one image input of uint8 or float32, [N,${inputSize},${inputSize},3] or [N,3,${inputSize},${inputSize}], with any N`;

/**
 * Finds a graph's one image input and its output with a number for each of `classes`.
 * @throws PerennialError bundle_invalid when a graph with such inputs and outputs cannot be served
 */
export function readSignature(graph: Graph, classes: number): GraphSignature {
  const constants = new Set((graph.initializer ?? []).map(({ name }) => name));
  const inputs = (graph.input ?? []).filter(({ name }) => !constants.has(name));
  const [input] = inputs;
  if (!input || inputs.length > 1) {
    throw refusal(`The graph has ${inputs.length} inputs.`, `Export it with ${wanted}.`);
  }
  const outputs = graph.output ?? [];
  return {
    input: readInput(input),
    ...findScores(graph, classes),
    features: outputs.some((output) => isFeatures(output)) ? onnxNames.features : null,
  };
}

function readInput(input: ValueInfo): GraphSignature['input'] {
  const name = input.name ?? '';
  const { UINT8, FLOAT } = onnx.TensorProto.DataType;
  const type = input.type?.tensorType?.elemType;
  const dimensions = dimensionsOf(input);
  const shown = `The input ${name} is ${typeName(type)} ${showDimensions(dimensions)}.`;
  if (type !== UINT8 && type !== FLOAT) throw refusal(shown, `Export the model with ${wanted}.`);
  const [, second, third, fourth] = dimensions ?? [];
  if (dimensions?.length !== 4 || second === undefined || third === undefined || fourth === undefined) {
    throw refusal(shown, `Export the model with ${wanted}.`);
  }
  const isInputSize = (length: Dimension): boolean => length === null || length === inputSize;
  const channelsFirst = second === 3 && isInputSize(third) && isInputSize(fourth);
  const channelsLast = fourth === 3 && isInputSize(second) && isInputSize(third);
  if (channelsFirst === channelsLast) throw refusal(shown, `Export the model with ${wanted}.`);
  return { name, channelsFirst, isFloat: type === FLOAT };
}

/** An undeclared type is checked when the graph runs. */
const mayBeFloat: readonly number[] = [onnx.TensorProto.DataType.UNDEFINED, onnx.TensorProto.DataType.FLOAT];

/** The only output, or the one called `probabilities`; its values are checked when the graph runs. */
function findScores(graph: Graph, classes: number): Pick<GraphSignature, 'scores' | 'isSingle'> {
  const outputs = graph.output ?? [];
  const candidates = outputs.filter((output) => !isFeatures(output));
  const named = candidates.find(({ name }) => name === onnxNames.probabilities);
  const output = named ?? candidates[0];
  if (!output || (candidates.length > 1 && !named)) {
    const names = outputs.map(({ name }) => name).join(', ');
    throw refusal(
      `The graph has ${outputs.length} outputs (${names}).`,
      `Export it with one output, or name the output with the class scores “${onnxNames.probabilities}”.`,
    );
  }
  const dimensions = dimensionsOf(output);
  const type = output.type?.tensorType?.elemType ?? 0;
  const last = dimensions?.[1] ?? null;
  const name = output.name ?? '';
  const isFloat = mayBeFloat.includes(type);
  const isSingle = isColumn(dimensions) || (last === null && endsInSigmoid(graph, name));
  if (!isFloat || (dimensions && dimensions.length !== 2 && !(isSingle && classes === 2))) {
    throw refusal(
      `The output ${output.name ?? ''} is ${typeName(type)} ${showDimensions(dimensions)}.`,
      `Export the model with a float32 output [N,${classes}]${classes === 2 ? ', or [N,1] with the probability of the second label' : ''}.`,
    );
  }
  if (isSingle && classes === 2) return { scores: name, isSingle };
  if (last !== null && last !== classes) throw wrongClassCount(last, classes);
  return { scores: name, isSingle: false };
}

/** Whether there is one number for each image: [N], [N,1], [N,1,1]. */
function isColumn(dimensions: readonly Dimension[] | null): boolean {
  return dimensions !== null && dimensions.length > 0 && dimensions.slice(1).every((length) => length === 1);
}

/** The refusal of a graph whose output width differs from the number of labels. */
export function wrongClassCount(found: number, labels: number): Error {
  return refusal(
    `The model returns ${found} ${found === 1 ? 'number' : 'numbers'} per image, but ${labels} labels were sent.`,
    found === 1
      ? 'A single output is the probability of the second of two classes: send exactly two labels, that class last.'
      : 'Send one label for each output, in the order of the outputs.',
  );
}

function isFeatures(output: ValueInfo): boolean {
  const dimensions = dimensionsOf(output);
  const isFloat = output.type?.tensorType?.elemType === onnx.TensorProto.DataType.FLOAT;
  return output.name === onnxNames.features && isFloat && dimensions?.length === 2;
}

/** Length of a dimension, or null for any. */
type Dimension = number | null;

/** The declared dimensions; null when none are declared. */
function dimensionsOf({ type }: ValueInfo): Dimension[] | null {
  const dims = type?.tensorType?.shape?.dim;
  if (!dims) return null;
  return dims.map(({ dimValue }) => {
    const length = Number(dimValue ?? 0);
    return length > 0 ? length : null;
  });
}

function showDimensions(dimensions: readonly Dimension[] | null): string {
  return dimensions ? `[${dimensions.map((length) => length ?? 'any').join(',')}]` : 'of no declared shape';
}

function typeName(type: number | null | undefined): string {
  return (onnx.TensorProto.DataType[type ?? 0] ?? 'unknown').toLowerCase();
}
