import { PerennialError } from '../../../contracts/errors.js';
import type { V2InferResponse } from '../../../contracts/inference/http-v2.js';
import type { Predicted } from '../predictor.js';
import type { InputScale } from '../../../contracts/inference/input-scale.js';
import { makeOutputs, type OutputTensor } from './outputs.js';
import type { Question } from './question.js';

/** A response: JSON and, for binary outputs, the bytes that follow it. */
export interface InferAnswer {
  json: V2InferResponse;
  binary: Buffer[] | null;
}

/** The response for the predictions of a request. `scale` is that of its numbers; null for bytes and files. */
export function answerOf(predicted: readonly Predicted[], question: Question, scale: InputScale | null): InferAnswer {
  const [first] = predicted;
  if (first === undefined) throw new PerennialError('internal', 'The engine returned no prediction.');
  const { version } = first.served;
  const encoded = makeOutputs(predicted, question).map((output) => ({
    output,
    bytes: output.isBinary ? encode(output) : null,
  }));
  const parts = encoded.flatMap(({ bytes }) => bytes ?? []);
  return {
    json: {
      model_name: version.modelName,
      model_version: String(version.version),
      // Clients send an empty id for none.
      id: question.id || first.predictionId,
      parameters: { prediction_id: first.predictionId, ...(scale !== null && { scale }) },
      outputs: encoded.map(({ output, bytes }) => viewOf(output, bytes)),
    },
    binary: parts.length > 0 ? parts : null,
  };
}

function viewOf(
  { name, datatype, shape, values }: OutputTensor,
  bytes: Buffer | null,
): V2InferResponse['outputs'][number] {
  const content = bytes === null ? { data: [...values] } : { parameters: { binary_data_size: bytes.length } };
  return { name, datatype, shape, ...content };
}

function encode({ datatype, values }: OutputTensor): Buffer {
  if (datatype === 'BYTES') return Buffer.concat(values.map((value) => encodeText(String(value))));
  if (datatype === 'BOOL') return Buffer.from(values.map(Number));
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeFloatLE(Number(value), index * 4));
  return bytes;
}

function encodeText(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
}
