import onnxProto from 'onnx-proto';
import type { Weights } from '../architectures/network.js';
import { attributes, floatTensor, integerTensor, node } from '../export/onnx-parts.js';
import { layersRefusal } from './refusal.js';

type Attributes = Parameters<typeof attributes>[0];

/** Output of a layer: its name in the graph, and its shape as in TF.js, without the batch. */
export interface Value {
  name: string;
  /** Three dimensions are height, width, channels; the graph holds those channels first. */
  shape: readonly number[];
}

/** Largest output of a layer for one image, in numbers. */
const largestValue = 50_000_000;

/** Builds a graph, and records which weights it uses. */
export class LayerGraph {
  readonly nodes: onnxProto.onnx.INodeProto[] = [];
  readonly initializers: onnxProto.onnx.ITensorProto[] = [];
  /** Names of the weights that layers use. */
  readonly usedWeights = new Set<string>();
  readonly #weights: Weights;
  #names = 0;

  constructor(weights: Weights) {
    this.#weights = weights;
  }

  /** Adds a node and returns the name of its output. */
  add(
    opType: string,
    inputs: readonly string[],
    values: Attributes = {},
    floats: Readonly<Record<string, number>> = {},
  ): string {
    const output = this.#name(opType);
    const { FLOAT } = onnxProto.onnx.AttributeProto.AttributeType;
    const real = Object.entries(floats).map(([name, f]) => ({ name, type: FLOAT, f }));
    this.nodes.push(node(opType, [...inputs], output, [...attributes(values), ...real]));
    return output;
  }

  floats(shape: readonly number[], values: Float32Array): string {
    const name = this.#name('floats');
    this.initializers.push(floatTensor(name, [...shape], values));
    return name;
  }

  /** A scalar constant. */
  scalar(value: number): string {
    return this.floats([], Float32Array.of(value));
  }

  integers(values: readonly number[]): string {
    const name = this.#name('integers');
    this.initializers.push(integerTensor(name, [...values]));
    return name;
  }

  /** The weights `<layer>/<part>`, which must have this shape. */
  weight(layer: string, part: string, shape: readonly number[]): Float32Array {
    const name = `${layer}/${part}`;
    const tensor = this.#weights.get(name);
    if (!tensor) throw layersRefusal(`The weights ${name} are missing.`);
    if (tensor.shape.length !== shape.length || tensor.shape.some((side, index) => side !== shape[index])) {
      throw layersRefusal(`The weights ${name} are [${tensor.shape.join(',')}] instead of [${shape.join(',')}].`);
    }
    this.usedWeights.add(name);
    return tensor.values;
  }

  #name(what: string): string {
    this.#names += 1;
    return `${what}_${this.#names}`;
  }
}

/** A value with that shape. Throws for shapes that are impossible or too large. */
export function valueOf(layer: string, name: string, shape: readonly number[]): Value {
  const numbers = shape.reduce((product, side) => product * side, 1);
  if (shape.every((side) => Number.isInteger(side) && side > 0) && numbers <= largestValue) return { name, shape };
  throw layersRefusal(`The output of the layer ${layer} would be [${shape.join(',')}], which is empty or too large.`);
}

/** Height, width and channels of a value that is an image. */
export function imageDimensions(layer: string, { shape }: Value): [number, number, number] {
  const [height, width, channels, ...more] = shape;
  if (height !== undefined && width !== undefined && channels !== undefined && more.length === 0) {
    return [height, width, channels];
  }
  throw layersRefusal(`The layer ${layer} needs height, width and channels, but its input is [${shape.join(',')}].`);
}
