import type { Request, Response } from 'express';
import { z } from 'zod';
import { onnxNames } from '../../../contracts/registry/bundle.js';
import { PerennialError } from '../../../contracts/errors.js';
import {
  v2DocumentedRequestSchema,
  v2HeaderLength,
  v2InferResponseSchema,
} from '../../../contracts/inference/http-v2.js';
import { deadlineOf, timeoutHeaders } from '../../http/deadline.js';
import type { PredictionRequest, Predictor } from '../predictor.js';
import { receiveInTurn } from '../tensors/receive-in-turn.js';
import { contextOf } from '../../http/request-context.js';
import { defineRoute, json, rawBody, type Route } from '../../http/route.js';
import { answerOf, type InferAnswer } from './answer.js';
import { predictInput } from './infer.js';
import { findModel, type ModelPath } from './models.js';
import type { Path } from './paths.js';
import { readQuestion, type Question, type ReadQuestion } from './question.js';
import { isLong, parserThread } from '../parsing/parser-thread.js';
import type { ApiSettings } from '../../http/settings.js';
import type { ServingHost } from '../../model-host/served-model.js';

/** Fits 50 images in FP32 or 200 in UINT8; `mostImages` limits a request. */
const maxBodyBytes = 32_000_000;

const binaryContent = z.string().meta({
  format: 'binary',
  description: `JSON of ${v2HeaderLength} bytes, then the binary tensors in the order of the JSON`,
});

const headers = timeoutHeaders.extend({
  [v2HeaderLength]: z
    .int()
    .min(0)
    .optional()
    .describe(`bytes of the JSON before binary tensors; 0 when the body has only the pixels of \`${onnxNames.image}\``),
});

const problems = [
  'bad_request',
  'not_found',
  'too_large',
  'unsupported_type',
  'invalid_tensor',
  'undecodable_image',
  'image_too_large',
  'image_too_small',
  'overloaded',
  'no_model',
  'model_retired',
  'deadline_exceeded',
] as const;

interface Dependencies {
  host: ServingHost;
  predictor: Pick<Predictor, 'admit' | 'image' | 'pixels'>;
  settings: Pick<ApiSettings, 'modelName'>;
}

/** The inference route of a model path. */
export function inferRoute(deps: Dependencies, { prefix, suffix, params }: Path): Route {
  const limit = { maxBytes: maxBodyBytes, takesCompressed: true };
  const success = json(v2InferResponseSchema, 'The requested outputs, in JSON or in binary behind it');
  return defineRoute({
    method: 'post',
    path: `${prefix}/infer`,
    operationId: `inferV2${suffix}`,
    summary: 'Classify images given as tensors or files',
    tag: 'serving',
    kind: 'prediction',
    audit: null,
    params,
    headers,
    body: rawBody({ 'application/json': v2DocumentedRequestSchema, 'application/octet-stream': binaryContent }, limit),
    success: { ...success, otherContents: { 'application/octet-stream': binaryContent } },
    problems,
    async handle({ params: path, request, response }) {
      const { json: body, binary } = await infer(deps, path, request);
      if (binary !== null) sendMixed(response, body, binary);
      return { body };
    },
  });
}

async function infer(deps: Dependencies, path: ModelPath, request: Request): Promise<InferAnswer> {
  findModel(deps, path);
  const job = { route: 'v2', ...deadlineOf(request) } as const;
  requireTensors(request);
  const { question, input, receivedAt } = await receive(request, (at) =>
    deps.predictor.admit(1, { ...job, receivedAt: at }),
  );
  // The served version may have changed while the body was read.
  findModel(deps, path);
  return answerOf(
    await predictInput(deps.predictor, input, withTimeout({ ...job, receivedAt }, question, request)),
    question,
    input.kind === 'pixels' ? input.scale : null,
  );
}

/** A separate function, so that the body can be freed before the prediction. */
async function receive(
  request: Request,
  admit: (receivedAt: number) => void,
): Promise<ReadQuestion & { receivedAt: number }> {
  const { body, receivedAt } = await receiveInTurn(request, maxBodyBytes, admit);
  const headerLength = request.get(v2HeaderLength);
  const isAllJson = headerLength === undefined || headerLength === String(body.length);
  const read = isAllJson && isLong(body) ? await parserThread.question(body) : readQuestion(body, headerLength);
  return { ...read, receivedAt };
}

/** The earlier of the header's deadline and that of the protocol's parameter, which is in microseconds. */
function withTimeout(job: PredictionRequest, { parameters }: Question, request: Request): PredictionRequest {
  const timeoutMs = (parameters?.timeout ?? 0) / 1000;
  if (timeoutMs === 0) return job;
  const deadlineAt = contextOf(request).arrivedAt + timeoutMs;
  return { ...job, deadlineAt: Math.min(deadlineAt, job.deadlineAt ?? Infinity) };
}

/** Triton's clients send no content type. */
function requireTensors(request: Request): void {
  const sent = request.get('content-type');
  if (sent === undefined || request.is(['application/json', 'application/octet-stream']) !== false) return;
  throw new PerennialError('unsupported_type', `Send application/json or application/octet-stream, not ${sent}.`);
}

function sendMixed(response: Response, body: InferAnswer['json'], binary: readonly Buffer[]): void {
  const head = Buffer.from(JSON.stringify(v2InferResponseSchema.parse(body)));
  response.setHeader('Content-Type', 'application/octet-stream');
  response.setHeader(v2HeaderLength, head.length);
  const whole = Buffer.concat([head, ...binary]);
  response.setHeader('Content-Length', whole.length);
  response.end(whole);
}
