import { onnxNames } from '../../../contracts/registry/bundle.js';
import type { V2Input } from '../../../contracts/inference/http-v2.js';
import { inputSize } from '../../../contracts/training/training.js';
import { invalidRequest } from '../../http/problems.js';
import { imageBytes, mostImages } from '../tensors/tensors.js';
import { readBinaryPixels, type ReadPixels } from './binary-pixels.js';
import type { InferBody } from './body.js';
import { readFileElements, readFileTexts } from './files.js';
import { numberFormatOf } from './numbers.js';
import { readPixelLists } from './pixel-lists.js';
import { inputPointer, invalidTensor } from './tensor-fault.js';

/** The input of a request: pixels of `count` images, or image files. */
export type InferInput =
  ({ kind: 'pixels'; count: number } & ReadPixels) | { kind: 'files'; files: readonly Uint8Array[] };

/**
 * The images of a request. UINT8 pixels are used in place; nothing is allocated before shape and size are checked.
 * @throws PerennialError bad_request, invalid_tensor
 */
export function readInput({ request, binary }: InferBody): InferInput {
  const [sent] = request.inputs;
  // Clients in languages without optional members send null.
  const input = sent && { ...sent, data: sent.data ?? undefined };
  if (input?.name !== onnxNames.image) {
    const detail = `the model has one input, \`${onnxNames.image}\`, and no \`${input?.name ?? ''}\``;
    throw invalidRequest([{ pointer: `${inputPointer}/name`, detail }]);
  }
  checkParts(input, binary);
  return input.datatype === 'BYTES' ? readFiles(input, binary) : readPixels(input, binary);
}

/** Checks that a tensor is either in the JSON or behind it with the declared size. */
function checkParts({ data, parameters }: V2Input, binary: Buffer): void {
  const size = parameters?.binary_data_size;
  const pointer = `${inputPointer}/parameters/binary_data_size`;
  if ((data === undefined) === (size === undefined)) {
    throw invalidRequest([{ pointer: inputPointer, detail: 'give either `data` or `binary_data_size`' }]);
  }
  if ((size ?? 0) !== binary.length) {
    const detail = `${size ?? 0} bytes were announced behind the JSON; there are ${binary.length}`;
    throw invalidRequest([{ pointer, detail }]);
  }
}

function readFiles({ shape, data, parameters }: V2Input, binary: Buffer): InferInput {
  const [count = 0, each = 1] = shape;
  if (shape.length < 1 || shape.length > 2 || each !== 1) {
    throw invalidTensor('shape', `image files have the shape [N] or [N,1], not ${shown(shape)}`);
  }
  checkCount(count);
  const isBase64 = parameters?.content_type === 'base64';
  const files = data === undefined ? readFileElements(binary, count, isBase64) : readFileTexts(data, count);
  return { kind: 'files', files };
}

function readPixels(input: V2Input, binary: Buffer): InferInput {
  const { shape, datatype, data } = input;
  const declared = input.parameters?.scale ?? undefined;
  const format = numberFormatOf(datatype);
  if (format === null) throw invalidTensor('datatype', `${datatype} holds no pixels; use UINT8, or BYTES for files`);
  const [count = 0, rows, columns, channels] = shape;
  if (shape.length !== 4 || rows !== inputSize || columns !== inputSize || channels !== 3) {
    throw invalidTensor('shape', `pixels have the shape [N,${inputSize},${inputSize},3], not ${shown(shape)}`);
  }
  checkCount(count);
  if (data !== undefined) {
    if (datatype === 'FP16') throw invalidTensor('datatype', 'FP16 travels in binary only; use FP32 in JSON');
    return { kind: 'pixels', count, ...readPixelLists(data, shape, declared) };
  }
  if (binary.length !== count * imageBytes * format.bytes) {
    const expected = `${count * imageBytes * format.bytes} bytes for the shape ${shown(shape)} in ${datatype}`;
    throw invalidTensor('parameters/binary_data_size', `expected ${expected}, got ${binary.length}`);
  }
  const areBytes = datatype === 'UINT8' && declared !== 1;
  return {
    ...{ kind: 'pixels', count },
    ...(areBytes ? { pixels: binary, scale: declared ?? null } : readBinaryPixels(binary, format, declared)),
  };
}

function checkCount(count: number): void {
  if (count < 1 || count > mostImages) {
    throw invalidTensor('shape/0', `expected 1 to ${mostImages} images in one request, got ${count}`);
  }
}

function shown(shape: readonly number[]): string {
  return `[${shape.join(',')}]`;
}
