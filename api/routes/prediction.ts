import type { Request, Response } from 'express';
import multer from 'multer';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { predictionSchema } from '../../contracts/http.js';
import type { ApiDependencies } from '../dependencies.js';
import type { MemoryBudget } from '../middleware/limit-body.js';
import { receiveForm } from '../middleware/multipart.js';
import type { Predicted } from '../predictor.js';
import { defineRoute, formBody, json, nothing, type Route } from '../route.js';

const predictionForm = z.object({
  file: z.string().meta({ format: 'binary', description: 'one JPEG, PNG or WebP image' }),
});

/** Room for what a form holds beside the file. */
const formOverheadBytes = 64 * 1024;

/** Predictions on uploaded images. */
export function predictionRoutes(
  { metrics, predictor, settings }: Pick<ApiDependencies, 'metrics' | 'predictor' | 'settings'>,
  budget: MemoryBudget,
): Route[] {
  const maxBytes = settings.maxUploadBytes + formOverheadBytes;
  const receiveImage = imageReceiver(settings.maxUploadBytes, maxBytes);
  return [
    defineRoute({
      ...nothing,
      method: 'post',
      path: '/predict',
      operationId: 'predict',
      summary: 'Classify one image',
      tag: 'serving',
      audit: null,
      body: formBody(predictionForm, {
        maxBytes,
        budget,
        onShed: () => metrics.countShed('memory'),
      }),
      success: json(predictionSchema, 'The most probable class, and how probable each is'),
      problems: [
        'bad_request',
        'no_file',
        'too_large',
        'unsupported_type',
        'undecodable_image',
        'image_too_large',
        'image_too_small',
        'overloaded',
        'deadline_exceeded',
        'no_model',
      ],
      async handle({ request, response }) {
        predictor.served();
        const image = await receiveImage(request, response);
        return { body: predictionView(await predictor.image(image, { route: 'predict' })) };
      },
    }),
  ];
}

function predictionView({ served, prediction, abstained, predictionId }: Predicted): z.input<typeof predictionSchema> {
  const { engine, version } = served;
  const probabilities = engine.labels.map((label, index) => [label, prediction.probabilities[index] ?? 0] as const);
  return {
    prediction: prediction.label,
    confidence: prediction.confidence,
    probabilities: Object.fromEntries(probabilities),
    abstained,
    unfamiliar: prediction.familiarity?.unfamiliar ?? false,
    distance: prediction.familiarity?.distance ?? null,
    model_name: version.modelName,
    model_version: String(version.version),
    timestamp: new Date().toISOString(),
    prediction_id: predictionId,
  };
}

function imageReceiver(
  fileSize: number,
  maxBytes: number,
): (request: Request, response: Response) => Promise<Uint8Array> {
  const limits = { fileSize, files: 1, fields: 16, fieldSize: 1024, parts: 20 };
  const options = { maxBytes, storage: multer.memoryStorage(), limits };
  return async (request, response) => {
    await receiveForm(request, response, options, (upload) => upload.single('file'));
    const { file } = request;
    if (file === undefined || file.size === 0) {
      throw new PerennialError(
        'no_file',
        file === undefined
          ? 'Send the image as multipart/form-data in the field “file”.'
          : 'The file in the field “file” is empty. Send an image.',
      );
    }
    return file.buffer;
  };
}
