import { onnxNames } from '../../../contracts/registry/bundle.js';
import { v2HeaderLength, v2InferRequestSchema, type V2InferRequest } from '../../../contracts/inference/http-v2.js';
import { inputSize } from '../../../contracts/training/training.js';
import { parseBoundedJson } from '../../http/body/json-bounds.js';
import { faultsOf, invalidRequest } from '../../http/problems.js';
import { imageBytes, mostImages } from '../tensors/tensors.js';

/** A request whose JSON is parsed; `binary` is what came after it. */
export interface InferBody {
  request: V2InferRequest;
  binary: Buffer;
}

/** Every pixel of the most images may be a list of its own. */
const jsonBounds = { depth: 16, containers: mostImages * inputSize * (inputSize + 1) + 1_000 };

/**
 * Takes the body of an inference request apart: JSON alone, JSON followed by binary tensors, or, when the header says
 * that there is no JSON, pixels alone.
 * @throws PerennialError bad_request
 */
export function parseInferBody(body: Buffer, headerLength: string | undefined): InferBody {
  if (headerLength === undefined) return { request: parseRequest(body), binary: body.subarray(body.length) };
  const jsonBytes = /^\d{1,15}$/.test(headerLength) ? Number(headerLength) : Number.NaN;
  if (!(jsonBytes <= body.length)) {
    const detail = `expected the number of bytes of the JSON, at most the ${body.length} of the whole body`;
    throw invalidRequest([{ pointer: `header/${v2HeaderLength}`, detail }]);
  }
  if (jsonBytes === 0) return { request: rawRequest(body), binary: body };
  return { request: parseRequest(body.subarray(0, jsonBytes)), binary: body.subarray(jsonBytes) };
}

function parseRequest(json: Buffer): V2InferRequest {
  const parsed = v2InferRequestSchema.safeParse(parseBoundedJson(json, jsonBounds));
  if (!parsed.success) throw invalidRequest(faultsOf(parsed.error, '#'));
  return parsed.data;
}

/** What a body without JSON stands for: pixels of as many images as there are, and all outputs in binary. */
function rawRequest(body: Buffer): V2InferRequest {
  const shape = [Math.floor(body.length / imageBytes), inputSize, inputSize, 3];
  const parameters = { binary_data_size: body.length };
  return {
    parameters: { binary_data_output: true },
    inputs: [{ name: onnxNames.image, shape, datatype: 'UINT8', parameters }],
  };
}
