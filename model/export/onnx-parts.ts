import onnxProto from 'onnx-proto';

const { onnx } = onnxProto;

type AttributeValue = number | string | readonly number[];

/** A node with one output, named after it. */
export function node(
  opType: string,
  input: string[],
  output: string,
  attribute: onnxProto.onnx.IAttributeProto[] = [],
): onnxProto.onnx.INodeProto {
  return { opType, input, output: [output], name: `${output}:${opType}`, attribute };
}

/** Attributes of a node: integers, strings and lists of integers. */
export function attributes(values: Readonly<Record<string, AttributeValue>>): onnxProto.onnx.IAttributeProto[] {
  const { INT, INTS, STRING } = onnx.AttributeProto.AttributeType;
  return Object.entries(values).map(([name, value]) => {
    if (typeof value === 'number') return { name, type: INT, i: value };
    if (typeof value === 'string') return { name, type: STRING, s: Buffer.from(value) };
    return { name, type: INTS, ints: [...value] };
  });
}

/** A float32 initializer. */
export function floatTensor(name: string, dims: number[], values: Float32Array): onnxProto.onnx.ITensorProto {
  const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { name, dims, dataType: onnx.TensorProto.DataType.FLOAT, rawData };
}

/** An initializer of a small integer type. */
export function byteTensor(
  name: string,
  dataType: number,
  dims: number[],
  values: Int8Array | Uint8Array | Int32Array,
): onnxProto.onnx.ITensorProto {
  return { name, dims, dataType, rawData: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/** An int64 initializer. */
export function integerTensor(name: string, values: number[]): onnxProto.onnx.ITensorProto {
  return { name, dims: [values.length], dataType: onnx.TensorProto.DataType.INT64, int64Data: values };
}

/** An input or output of a graph; a named dimension may have any length. */
export function valueInfo(
  name: string,
  elemType: number,
  shape: readonly (number | string)[],
): onnxProto.onnx.IValueInfoProto {
  const dim = shape.map((side) => (typeof side === 'string' ? { dimParam: side } : { dimValue: side }));
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}
