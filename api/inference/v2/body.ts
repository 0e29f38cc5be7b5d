import { onnxNames } from '../../../contracts/registry/bundle.js';
import { v2HeaderLength, v2InferRequestSchema, type V2InferRequest } from '../../../contracts/inference/http-v2.js';
import { inputSize } from '../../../contracts/training/training.js';
import { parseBoundedJson } from '../../http/body/json-bounds.js';
import { invalidRequest, parseRequest } from '../../http/problems.js';
import { tensorBounds } from '../tensors/tensor-bounds.js';
import { imageBytes } from '../tensors/tensors.js';

/** A request with parsed JSON and the bytes after it. */
export interface InferBody {
  request: V2InferRequest;
  binary: Buffer;
}

/** JSON in front of binary tensors names their shapes only. */
const mostHeaderBytes = 1_000_000;

/**
 * Splits the body of an inference request: JSON, JSON followed by binary tensors, or raw pixels if the header declares no
 * JSON.
 * @throws PerennialError bad_request
 */
export function parseInferBody(body: Buffer, headerLength: string | undefined): InferBody {
  if (headerLength === undefined) return { request: requestOf(body), binary: body.subarray(body.length) };
  const jsonBytes = /^\d{1,15}$/.test(headerLength) ? Number(headerLength) : Number.NaN;
  if (!(jsonBytes <= body.length)) {
    const detail = `expected the number of bytes of the JSON, at most the ${body.length} of the whole body`;
    throw invalidRequest([{ pointer: `header/${v2HeaderLength}`, detail }]);
  }
  if (jsonBytes > mostHeaderBytes && jsonBytes < body.length) {
    const detail = `expected at most ${mostHeaderBytes} bytes of JSON in front of binary tensors`;
    throw invalidRequest([{ pointer: `header/${v2HeaderLength}`, detail }]);
  }
  if (jsonBytes === 0) return { request: rawRequest(body), binary: body };
  return { request: requestOf(body.subarray(0, jsonBytes)), binary: body.subarray(jsonBytes) };
}

function requestOf(json: Buffer): V2InferRequest {
  return parseRequest(v2InferRequestSchema, parseBoundedJson(json, tensorBounds(json.length)), '#');
}

/** The request of a raw body: pixels of one or more images, and all outputs in binary. */
function rawRequest(body: Buffer): V2InferRequest {
  const shape = [Math.floor(body.length / imageBytes), inputSize, inputSize, 3];
  const parameters = { binary_data_size: body.length };
  return {
    parameters: { binary_data_output: true },
    inputs: [{ name: onnxNames.image, shape, datatype: 'UINT8', parameters }],
  };
}
