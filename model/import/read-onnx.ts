import onnxProto from 'onnx-proto';
import { messageOf } from '../../contracts/errors.js';
import { allowedOperators } from './operators.js';
import { refusal } from './refusal.js';

const { onnx } = onnxProto;
type Graph = onnxProto.onnx.IGraphProto;
type Node = onnxProto.onnx.INodeProto;
type Tensor = onnxProto.onnx.ITensorProto;
type Attribute = onnxProto.onnx.IAttributeProto;

/** A graph with allowed operators only, and all its weights inside. */
export interface PlainModel {
  graph: Graph;
  irVersion: number;
  /** Opset version of each domain; the standard domain is the empty string. */
  opsets: ReadonlyMap<string, number>;
}

/** Operators of older opsets take their inputs in another way. */
const oldestOpset = 7;
const exportAgain = 'Export the model again, as one self-contained .onnx file.';

/**
 * Reads an ONNX file and refuses anything but a plain graph: external data, custom functions and operators, subgraphs,
 * NaN. None of it is run.
 * @throws PerennialError bundle_invalid
 */
export function readOnnx(bytes: Uint8Array): PlainModel {
  const model = decode(bytes);
  const graph = model.graph;
  if (!graph?.node || graph.node.length === 0) {
    throw refusal('The file is not an ONNX model: it holds no graph.', exportAgain);
  }
  if (model.functions.length > 0) {
    throw refusal('The graph defines its own functions.', 'Inline them (onnx.inliner.inline_local_functions).');
  }
  if ((graph.sparseInitializer ?? []).length > 0) throw refusal('The graph holds sparse tensors.', exportAgain);
  for (const tensor of graph.initializer ?? []) checkTensor(tensor, tensor.name ?? '');
  const opsets = readOpsets(model);
  for (const node of graph.node) checkNode(node, opsets);
  return { graph, irVersion: Number(model.irVersion), opsets };
}

function decode(bytes: Uint8Array): onnxProto.onnx.ModelProto {
  try {
    return onnx.ModelProto.decode(bytes);
  } catch (error) {
    throw refusal(`The file is not an ONNX model, or it is incomplete (${messageOf(error)}).`, exportAgain, error);
  }
}

function readOpsets(model: onnxProto.onnx.IModelProto): Map<string, number> {
  const opsets = new Map<string, number>();
  for (const { domain, version } of model.opsetImport ?? []) opsets.set(plainDomain(domain), Number(version ?? 0));
  const standard = opsets.get('') ?? 0;
  if (standard < oldestOpset) {
    throw refusal(`The graph uses opset ${standard}.`, `Export the model again with opset ${oldestOpset} or newer.`);
  }
  return opsets;
}

/** The standard domain has two names. */
export function plainDomain(domain: string | null | undefined): string {
  return domain === 'ai.onnx' ? '' : (domain ?? '');
}

function checkNode(node: Node, opsets: ReadonlyMap<string, number>): void {
  const domain = plainDomain(node.domain);
  const opType = node.opType ?? '';
  const shown = `${domain === '' ? '' : `${domain}.`}${opType}`;
  if (allowedOperators.get(domain)?.has(opType) !== true) {
    const kind = allowedOperators.has(domain) ? 'that is not allowed here' : 'that would need custom code';
    throw refusal(
      `The graph uses an operator ${kind}: ${shown}.`,
      'Export the model with standard operators, without control flow and random numbers.',
    );
  }
  if (!opsets.has(domain)) throw refusal(`The graph uses ${shown} without importing its domain.`, exportAgain);
  for (const attribute of node.attribute ?? []) checkAttribute(attribute, shown);
}

function checkAttribute(attribute: Attribute, where: string): void {
  if (attribute.g || (attribute.graphs ?? []).length > 0) {
    throw refusal(`${where} holds a subgraph.`, 'Export the model without control flow.');
  }
  if (attribute.sparseTensor || (attribute.sparseTensors ?? []).length > 0) {
    throw refusal(`${where} holds a sparse tensor.`, exportAgain);
  }
  for (const tensor of [attribute.t, ...(attribute.tensors ?? [])]) if (tensor) checkTensor(tensor, where);
}

function checkTensor(tensor: Tensor, where: string): void {
  const isElsewhere = tensor.dataLocation === onnx.TensorProto.DataLocation.EXTERNAL;
  if (isElsewhere || (tensor.externalData ?? []).length > 0) {
    throw refusal(`The weights ${where} are in another file, which is not read.`, exportAgain);
  }
  if (holdsNaN(tensor)) throw refusal(`The weights ${where} hold NaN.`, 'Train the model again; it has diverged.');
}

function holdsNaN({ dataType, floatData, rawData }: Tensor): boolean {
  if (dataType !== onnx.TensorProto.DataType.FLOAT) return false;
  if ((floatData ?? []).some((value) => Number.isNaN(value))) return true;
  if (!rawData || rawData.byteLength === 0) return false;
  // A copy, because the bytes may start at any offset and floats need a multiple of four.
  const whole = rawData.byteLength - (rawData.byteLength % Float32Array.BYTES_PER_ELEMENT);
  return new Float32Array(Uint8Array.from(rawData.subarray(0, whole)).buffer).some((value) => Number.isNaN(value));
}
