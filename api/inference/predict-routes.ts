import type { ErrorCode } from '../../contracts/errors.js';
import { predictAnswerSchema, predictQuery } from '../../contracts/inference/http-explanations.js';
import { deadlineOf, timeoutHeaders } from '../http/deadline.js';
import type { Explanations } from './explanations.js';
import { createImageReceiver, imageBody } from './images/receive-image.js';
import { defineRoute, json, type Route } from '../http/route.js';
import { predictionView } from './prediction-answer.js';
import type { ApiSettings } from '../http/settings.js';
import type { Predictor } from './predictor.js';

interface Dependencies {
  explanations: Explanations;
  predictor: Pick<Predictor, 'admit' | 'image' | 'served'>;
  settings: ApiSettings;
}

/** Problems of an image prediction. */
export const imageProblems = [
  'bad_request',
  'no_file',
  'body_timeout',
  'too_large',
  'unsupported_type',
  'undecodable_image',
  'image_too_large',
  'image_too_small',
  'url_not_allowed',
  'url_unreachable',
  'overloaded',
  'deadline_exceeded',
  'no_model',
  'model_retired',
] as const satisfies readonly ErrorCode[];

/** Predictions on uploaded images. */
export function predictionRoutes({ explanations, predictor, settings }: Dependencies): Route[] {
  const receiveImage = createImageReceiver(settings);
  return [
    defineRoute({
      method: 'post',
      path: '/predict',
      operationId: 'predict',
      summary: 'Classify one image',
      tag: 'serving',
      kind: 'prediction',
      audit: null,
      query: predictQuery,
      headers: timeoutHeaders,
      body: imageBody(settings),
      success: json(predictAnswerSchema, 'The most probable class, and the probability of each'),
      problems: imageProblems,
      async handle({ request, query }) {
        predictor.served();
        const asked = { route: 'predict' as const, ...deadlineOf(request) };
        if (query.explain === 'true') explanations.requireRoom();
        else predictor.admit(1, asked);
        const { bytes } = await receiveImage(request);
        if (query.explain === 'false') return { body: predictionView(await predictor.image(bytes, asked)) };
        const explained = await explanations.explain(bytes, { overlay: true, neighbours: 0 }, asked);
        return { body: { ...predictionView(explained), explanation: explained.view } };
      },
    }),
  ];
}
