import { errorTable } from '../../contracts/errors.js';
import { z } from 'zod';
import { invocationsRequestSchema, invocationsResponseSchema } from '../../contracts/http.js';
import { inputSize } from '../../contracts/training.js';
import type { ApiDependencies } from '../dependencies.js';
import type { MemoryBudget } from '../middleware/limit-body.js';
import { defineRoute, json, jsonBody, nothing, text, type Route } from '../route.js';
import { mostImages, parseImageTensors } from '../tensors.js';

const maxJsonBytes = 32_000_000;

const channel = z.number().min(0).max(255);
const tensor = z.array(z.array(z.array(channel).length(3)).length(inputSize)).length(inputSize);
/**
 * Parsed JSON takes about ten times the memory of its text, pixels a quarter: the lists are gone before anything is
 * waited for, so that there is one such tree at a time, however many requests there are.
 */
const tensorBody = invocationsRequestSchema.transform(({ inputs }) => ({
  pixels: parseImageTensors(inputs),
  count: inputs.length,
}));

/** What the documentation shows; checked by hand, because a schema takes far too long over 150,000 numbers an image. */
const documentedRequest = z.object({
  inputs: z.array(tensor).min(1).max(mostImages).describe('RGB images, 224×224×3, 0 to 255'),
});

/** Names the rows' predictions, in their order; MLflow's body has no room for them. */
const idsHeader = 'X-Prediction-Ids';

type Needed = Pick<ApiDependencies, 'host' | 'metrics' | 'predictor' | 'settings'>;

/** The scoring protocol of MLflow and SageMaker: tensors in, rows of probabilities out. */
export function invocationRoutes(deps: Needed, budget: MemoryBudget): Route[] {
  return [invokeRoute(deps, budget), ...probeRoutes(deps)];
}

function invokeRoute({ metrics, predictor }: Needed, budget: MemoryBudget): Route {
  const body = jsonBody(tensorBody, {
    maxBytes: maxJsonBytes,
    budget,
    onShed: () => metrics.countShed('memory'),
  });
  return defineRoute({
    ...nothing,
    method: 'post',
    path: '/invocations',
    operationId: 'invoke',
    summary: 'Classify images given as tensors',
    tag: 'serving',
    audit: null,
    body: { ...body, documented: documentedRequest, isRequired: true },
    success: json(
      invocationsResponseSchema,
      `Calibrated probabilities, a row an image, in the order of the labels; ${idsHeader} names the predictions`,
    ),
    problems: ['bad_request', 'too_large', 'unsupported_type', 'invalid_tensor', 'overloaded', 'no_model'],
    async handle({ body: { pixels, count } }) {
      const answers = await predictor.pixels(pixels, count, { route: 'invocations' });
      return {
        body: { predictions: answers.map(({ prediction }) => prediction.probabilities) },
        headers: { [idsHeader]: answers.map(({ predictionId }) => predictionId).join(',') },
      };
    },
  });
}

function probeRoutes({ host, settings }: Pick<ApiDependencies, 'host' | 'settings'>): Route[] {
  return [
    defineRoute({
      ...nothing,
      method: 'get',
      path: '/ping',
      operationId: 'ping',
      summary: 'Whether a model can be invoked, as SageMaker and MLflow ask it',
      tag: 'serving',
      success: text('text/plain', 'It can; 503 when no model is loaded'),
      problems: [],
      handle: () => (host.current() ? { body: 'ok\n' } : { body: `${errorTable.no_model.title}\n`, status: 503 }),
    }),
    defineRoute({
      ...nothing,
      method: 'get',
      path: '/version',
      operationId: 'getVersion',
      summary: 'Version of Perennial',
      tag: 'serving',
      success: text('text/plain', 'The version alone'),
      problems: [],
      handle: () => ({ body: settings.version }),
    }),
  ];
}
