import { webcrypto } from 'node:crypto';
import type { Request, Response } from 'express';
import multer from 'multer';
import { z } from 'zod';
import { errorCodeOf, PerennialError } from '../../contracts/errors.js';
import { predictionSchema } from '../../contracts/http.js';
import type { ApiDependencies } from '../dependencies.js';
import type { MemoryBudget } from '../middleware/limit-body.js';
import { receiveForm } from '../middleware/multipart.js';
import type { ServedModel } from '../model-host.js';
import { defineRoute, formBody, json, nothing, type Route } from '../route.js';

const predictionForm = z.object({
  file: z.string().meta({ format: 'binary', description: 'one JPEG, PNG or WebP image' }),
});

/** Room for what a form holds beside the file. */
const formOverheadBytes = 64 * 1024;

/** Predictions on uploaded images. */
export function predictionRoutes(
  { host, metrics, predictionLog, settings }: Pick<ApiDependencies, 'host' | 'metrics' | 'predictionLog' | 'settings'>,
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
        'no_model',
      ],
      async handle({ request, response }) {
        modelOf(host.current(), settings.modelName);
        const image = await receiveImage(request, response);
        const served = modelOf(host.current(), settings.modelName);
        return { body: await predict(served, image, { metrics, predictionLog }) };
      },
    }),
  ];
}

/** The model to predict with. Throws `no_model`. */
export function modelOf(served: ServedModel | null, modelName: string): ServedModel {
  if (served) return served;
  throw new PerennialError(
    'no_model',
    `No version of ${modelName} is being served. Start a retraining, or wait until the first one is promoted.`,
  );
}

/** Counts what is refused because the engine's queue is full. */
export async function countingShed<T>(
  metrics: Pick<ApiDependencies['metrics'], 'countShed'>,
  work: Promise<T>,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (errorCodeOf(error) === 'overloaded') metrics.countShed('queue_full');
    throw error;
  }
}

async function predict(
  served: ServedModel,
  image: Uint8Array,
  { metrics, predictionLog }: Pick<ApiDependencies, 'metrics' | 'predictionLog'>,
): Promise<z.input<typeof predictionSchema>> {
  const { engine, version } = served;
  const startedAt = performance.now();
  const [imageSha256, prediction] = await Promise.all([
    sha256Of(image),
    countingShed(metrics, engine.predictImage(image)),
  ]);
  const latencyMs = performance.now() - startedAt;
  metrics.countPrediction(String(version.version), prediction, latencyMs / 1000);
  const facts = { probabilities: prediction.probabilities, imageSha256, latencyMs, route: 'predict' } as const;
  const probabilities = engine.labels.map((label, index) => [label, prediction.probabilities[index] ?? 0] as const);
  return {
    prediction: prediction.label,
    confidence: prediction.confidence,
    probabilities: Object.fromEntries(probabilities),
    model_name: version.modelName,
    model_version: String(version.version),
    timestamp: new Date().toISOString(),
    prediction_id: predictionLog.keep(served, facts),
  };
}

/** Off the event loop, beside the inference: a large image takes longer to sum than to answer. */
async function sha256Of(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex');
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
