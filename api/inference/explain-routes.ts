import type { Response } from 'express';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { explainedPredictionSchema, explainQuery } from '../../contracts/inference/http-explanations.js';
import { deadlineOf, timeoutHeaders } from '../http/deadline.js';
import type { Explained, Explanations } from './explanations.js';
import { createImageReceiver, imageBody } from './images/receive-image.js';
import { defineRoute, json, type Route } from '../http/route.js';
import { predictionView } from './prediction-answer.js';
import { imageProblems } from './predict-routes.js';
import type { ApiSettings } from '../http/settings.js';
import type { Predictor } from './predictor.js';

interface Dependencies {
  explanations: Explanations;
  predictor: Pick<Predictor, 'served'>;
  settings: ApiSettings;
}

/** Header with the prediction id of an image answer. */
const predictionIdHeader = 'X-Prediction-Id';

/** Explanations of predictions. */
export function explainRoutes({ explanations, predictor, settings }: Dependencies): Route[] {
  const receiveImage = createImageReceiver(settings);
  return [
    defineRoute({
      method: 'post',
      path: '/explain',
      operationId: 'explain',
      summary: 'Classify one image, and explain which regions support a class',
      tag: 'serving',
      kind: 'prediction',
      audit: null,
      query: explainQuery,
      headers: timeoutHeaders,
      body: imageBody(settings, { budget: explanations.memoryBudget }),
      success: {
        ...json(explainedPredictionSchema, 'The prediction and its explanation; as image/png only the overlay'),
        otherContents: { 'image/png': z.string().meta({ format: 'binary' }) },
      },
      problems: imageProblems,
      async handle({ request, response, query: { label, neighbours, overlay } }) {
        predictor.served();
        explanations.requireRoom();
        const job = deadlineOf(request);
        const asPng = request.accepts(['application/json', 'image/png']) === 'image/png';
        const { bytes } = await receiveImage(request);
        const wanted = { label, neighbours: asPng ? 0 : neighbours, overlay: asPng || overlay === 'true' };
        const explained = await explanations.explain(bytes, wanted, { route: 'explain', ...job });
        response.vary('Accept');
        if (asPng) sendOverlay(response, explained);
        return { body: { ...predictionView(explained), explanation: explained.view } };
      },
    }),
  ];
}

function sendOverlay(response: Response, { explanation, predictionId }: Explained): void {
  if (explanation.overlay === null) {
    throw new PerennialError('internal', 'The overlay was not drawn. Retry the request.');
  }
  response.set(predictionIdHeader, predictionId).type('png').end(explanation.overlay);
}
