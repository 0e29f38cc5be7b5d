import type { Request } from 'express';
import { z } from 'zod';
import { PerennialError, errorTable } from '../../../contracts/errors.js';
import { invocationsResponseSchema } from '../../../contracts/inference/http-predict.js';
import { inputScaleSchema } from '../../../contracts/inference/input-scale.js';
import { inputSize } from '../../../contracts/training/training.js';
import { deadlineOf, timeoutHeaders } from '../../http/deadline.js';
import { mediaTypeOf, requireUtf8 } from '../../http/body/parse-json.js';
import { readInvocation, type Invocation } from './read-invocation.js';
import type { Predicted, PredictionRequest, Predictor } from '../predictor.js';
import { predictEach, requestOfFile } from '../predict-each.js';
import { isLong, parserThread } from '../parsing/parser-thread.js';
import { receiveInTurn } from '../tensors/receive-in-turn.js';
import { defineRoute, json, rawBody, text, type Route } from '../../http/route.js';
import { mostImages } from '../tensors/tensors.js';
import { imageProblems } from '../predict-routes.js';
import type { ApiSettings } from '../../http/settings.js';
import type { ServingHost } from '../../model-host/served-model.js';

const maxJsonBytes = 32_000_000;

const channel = z.number().min(0).max(255);
const tensor = z
  .array(z.array(z.array(channel).length(3)).length(inputSize))
  .length(inputSize)
  .describe('an RGB image, 224×224×3, 0 to 255; with fractions that all lie within 0 to 1, it is multiplied by 255');
const file = z.string().min(1).describe('an image file as base64');
const encoded = z.strictObject({ b64: file });
const image = z.union([tensor, file, encoded]);
const images = z.array(image).min(1).max(mostImages);
const scale = inputScaleSchema.optional().describe('what the numbers are: 1 from 0 to 1, 255 from 0 to 255');
const common = { scale, params: z.union([z.null(), z.strictObject({ scale })]).optional() };

/** For OpenAPI only; checked in code, because a schema is far too slow for 150,000 numbers per image. */
const documentedRequest = z.union([
  z.strictObject({ inputs: z.union([images, z.strictObject({ image: images })]), ...common }),
  z.strictObject({
    instances: z
      .array(z.union([image, z.strictObject({ image })]))
      .min(1)
      .max(mostImages),
    ...common,
  }),
  z.strictObject({
    dataframe_split: z.strictObject({
      columns: z.array(z.string()).length(1).optional(),
      index: z.array(z.unknown()).optional(),
      data: z.array(z.array(image).length(1)).min(1).max(mostImages),
    }),
    ...common,
  }),
  z.strictObject({ dataframe_records: z.array(z.strictObject({ image })).min(1).max(mostImages), ...common }),
]);

/** Header with the prediction ids in the order of the rows, because MLflow's body has no field for them. */
const idsHeader = 'X-Prediction-Ids';
/** Header with the scale that the numbers of the images were taken for: 1 or 255. */
const scaleHeader = 'X-Input-Scale';

interface Dependencies {
  host: ServingHost;
  predictor: Pick<Predictor, 'admit' | 'image' | 'pixels'>;
  settings: Pick<ApiSettings, 'version'>;
}

/** The scoring protocol of MLflow and SageMaker: images in, rows of probabilities out. */
export function invocationRoutes(deps: Dependencies): Route[] {
  return [invokeRoute(deps), ...probeRoutes(deps)];
}

function invokeRoute({ predictor }: Dependencies): Route {
  return defineRoute({
    method: 'post',
    path: '/invocations',
    operationId: 'invoke',
    summary: 'Classify images given as tensors or as base64',
    tag: 'serving',
    kind: 'prediction',
    audit: null,
    headers: timeoutHeaders,
    body: rawBody({ 'application/json': documentedRequest }, { maxBytes: maxJsonBytes, takesCompressed: true }),
    success: json(
      invocationsResponseSchema,
      `Calibrated probabilities, one row per image, in the order of the labels; ${idsHeader} has the prediction ids, ${scaleHeader} the scale of the numbers as it was understood`,
    ),
    problems: [...imageProblems, 'invalid_tensor'],
    async handle({ request }) {
      const job = { route: 'invocations', ...deadlineOf(request) } as const;
      const { invocation, receivedAt } = await receive(request, (at) => predictor.admit(1, { ...job, receivedAt: at }));
      const answers = await predictAll(predictor, invocation, { ...job, receivedAt });
      return {
        body: { predictions: answers.map(({ prediction }) => prediction.probabilities) },
        headers: {
          [idsHeader]: answers.map(({ predictionId }) => predictionId).join(','),
          ...(invocation.scale !== null && { [scaleHeader]: String(invocation.scale) }),
        },
      };
    },
  });
}

/** A separate function, so that the body can be freed before the prediction. */
async function receive(
  request: Request,
  admit: (receivedAt: number) => void,
): Promise<{ invocation: Invocation; receivedAt: number }> {
  const type = mediaTypeOf(request);
  if (type !== 'application/json' && request.headers['content-length'] !== '0') {
    const sent = type === '' ? 'a body without a content type' : type;
    throw new PerennialError('unsupported_type', `Send application/json, not ${sent}.`);
  }
  requireUtf8(request);
  const { body, receivedAt } = await receiveInTurn(request, maxJsonBytes, admit);
  const invocation = await (isLong(body) ? parserThread.invocation(body) : readInvocation(body));
  return { invocation, receivedAt };
}

/** All images or none: the protocol has no row for a failed image. */
async function predictAll(
  predictor: Pick<Predictor, 'image' | 'pixels'>,
  { images: sent, pixels, tensors }: Invocation,
  job: PredictionRequest,
): Promise<Predicted[]> {
  const files = sent.filter((each) => each !== null);
  const [ofTensors, ofFiles] = await Promise.all([
    tensors > 0 ? predictor.pixels(pixels, tensors, job) : [],
    predictEach(files, (bytes) => predictor.image(bytes, requestOfFile(job, files.length))),
  ]);
  const [nextTensor, nextFile] = [ofTensors.values(), ofFiles.values()];
  return sent.flatMap((each) => (each === null ? nextTensor : nextFile).next().value ?? []);
}

function probeRoutes({ host, settings }: Dependencies): Route[] {
  return [
    defineRoute({
      method: 'get',
      path: '/ping',
      operationId: 'ping',
      summary: 'Readiness in the protocol of SageMaker and MLflow',
      tag: 'serving',
      kind: 'probe',
      success: { ...text('text/plain', 'Ready; 503 if no model is loaded'), otherStatuses: [503] },
      problems: [],
      handle() {
        if (host.current()) return { body: 'ok\n' };
        const code = host.retirement() ? 'model_retired' : 'no_model';
        return { body: `${errorTable[code].title}\n`, status: 503 };
      },
    }),
    defineRoute({
      method: 'get',
      path: '/version',
      operationId: 'getVersion',
      summary: 'Version of Perennial',
      tag: 'serving',
      success: text('text/plain', 'The version'),
      problems: [],
      handle: () => ({ body: settings.version }),
    }),
  ];
}
