import onnxProto from 'onnx-proto';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import { refusal } from './refusal.js';

const { onnx } = onnxProto;
type Graph = onnxProto.onnx.IGraphProto;
type ValueInfo = onnxProto.onnx.IValueInfoProto;

/** How a graph takes its image and gives its answer. */
export interface GraphSignature {
  input: { name: string; channelsFirst: boolean; isFloat: boolean };
  /** Name of the output with one number a class. */
  scores: string;
  /** Name of the output with what the classifier looks at; null when the graph does not show it. */
  features: string | null;
}

const wanted = `one image input of uint8 or float32, [N,${inputSize},${inputSize},3] or [N,3,${inputSize},${inputSize}], with any N`;

/**
 * Finds the ends of a graph: its one image input, and the output that gives a number for each of `classes`.
 * @throws PerennialError bundle_invalid when they are others than can be served
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
    scores: findScores(outputs, classes),
    features: outputs.some((output) => isFeatures(output)) ? onnxNames.features : null,
  };
}

function readInput(input: ValueInfo): GraphSignature['input'] {
  const name = input.name ?? '';
  const { UINT8, FLOAT } = onnx.TensorProto.DataType;
  const type = input.type?.tensorType?.elemType;
  const sides = sidesOf(input);
  const shown = `The input ${name} is ${typeName(type)} ${showSides(sides)}.`;
  if (type !== UINT8 && type !== FLOAT) throw refusal(shown, `Export the model with ${wanted}.`);
  const [, second, third, fourth] = sides ?? [];
  if (sides?.length !== 4 || second === undefined || third === undefined || fourth === undefined) {
    throw refusal(shown, `Export the model with ${wanted}.`);
  }
  const isSide = (side: Side): boolean => side === null || side === inputSize;
  const channelsFirst = second === 3 && isSide(third) && isSide(fourth);
  const channelsLast = fourth === 3 && isSide(second) && isSide(third);
  if (channelsFirst === channelsLast) throw refusal(shown, `Export the model with ${wanted}.`);
  return { name, channelsFirst, isFloat: type === FLOAT };
}

/** A type that is not declared shows when the graph is run. */
const mayBeFloat: readonly number[] = [onnx.TensorProto.DataType.UNDEFINED, onnx.TensorProto.DataType.FLOAT];

/** The only output, or the one that is called `probabilities`; whether its numbers are right shows when it runs. */
function findScores(outputs: readonly ValueInfo[], classes: number): string {
  const candidates = outputs.filter((output) => !isFeatures(output));
  const named = candidates.find(({ name }) => name === onnxNames.probabilities);
  const output = named ?? candidates[0];
  if (!output || (candidates.length > 1 && !named)) {
    const names = outputs.map(({ name }) => name).join(', ');
    throw refusal(
      `The graph has ${outputs.length} outputs (${names}).`,
      `Export it with one, or call the one that counts “${onnxNames.probabilities}”.`,
    );
  }
  const sides = sidesOf(output);
  const type = output.type?.tensorType?.elemType ?? 0;
  const last = sides?.[1] ?? null;
  const isFloat = mayBeFloat.includes(type);
  if (!isFloat || (sides && sides.length !== 2)) {
    throw refusal(
      `The output ${output.name ?? ''} is ${typeName(type)} ${showSides(sides)}.`,
      `Export the model with a float32 output [N,${classes}].`,
    );
  }
  if (last !== null && last !== classes) throw wrongClassCount(last, classes);
  return output.name ?? '';
}

/** What a graph is told whose output has another width than there are labels. */
export function wrongClassCount(found: number, labels: number): Error {
  return refusal(
    `The model gives ${found} numbers an image, but ${labels} labels were sent.`,
    'Send one label for each output, in the order of the outputs.',
  );
}

function isFeatures(output: ValueInfo): boolean {
  const sides = sidesOf(output);
  const isFloat = output.type?.tensorType?.elemType === onnx.TensorProto.DataType.FLOAT;
  return output.name === onnxNames.features && isFloat && sides?.length === 2;
}

/** A length, or null where it may be any. */
type Side = number | null;

/** The sides that a graph declares; null when it declares none. */
function sidesOf({ type }: ValueInfo): Side[] | null {
  const dims = type?.tensorType?.shape?.dim;
  if (!dims) return null;
  return dims.map(({ dimValue }) => {
    const length = Number(dimValue ?? 0);
    return length > 0 ? length : null;
  });
}

function showSides(sides: readonly Side[] | null): string {
  return sides ? `[${sides.map((side) => side ?? 'any').join(',')}]` : 'of no declared shape';
}

function typeName(type: number | null | undefined): string {
  return (onnx.TensorProto.DataType[type ?? 0] ?? 'unknown').toLowerCase();
}
