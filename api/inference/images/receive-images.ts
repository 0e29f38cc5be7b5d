import type { Request } from 'express';
import { z } from 'zod';
import { PerennialError } from '../../../contracts/errors.js';
import {
  startBatchPredictionSchema,
  type StartBatchPrediction,
} from '../../../contracts/batch-predictions/http-batch-predictions.js';
import { parseRequest } from '../../http/problems.js';
import { readBody } from '../../http/body/read-body.js';
import { rawBody, type BodyDefinition } from '../../http/route.js';
import { createImageFetcher } from './fetch-image.js';
import { filesOf, parseForm } from '../../http/body/parse-form.js';
import { boundsOf, mediaTypeOf, requireUtf8 } from '../../http/body/parse-json.js';
import { parseJsonAside } from '../parsing/parser-thread.js';
import { documentedImage, filled, imageSchema, namedImage, type ImageSettings } from './receive-image.js';

/** One of several images. Reading it throws its own errors only. */
export interface BatchedImage {
  filename: string | null;
  bytes: () => Promise<Buffer>;
}

/** The images of the request, or the source of a batch prediction. */
export type ReceivedBatch = { images: readonly BatchedImage[] } | { job: StartBatchPrediction };

const mostImages = 100;
/** More images than allowed are parsed, so that the error can name the limit. */
const mostNamed = 1_000;
/** Limit of a whole request; larger ones need a batch prediction. */
const maxBytes = 64_000_000;

const imagesForm = z.object({
  files: z
    .array(z.string().meta({ format: 'binary' }))
    .min(1)
    .max(mostImages)
    .describe('JPEG, PNG or WebP images'),
});
const documentedImages = z.strictObject({ images: z.array(documentedImage).min(1).max(mostImages) });
const imagesSchema = z.strictObject({ images: z.array(z.unknown()).min(1) });

/** The body of a route with several images, or with their source. */
export function imagesBody(): BodyDefinition<z.ZodUnknown> {
  return rawBody(
    { 'multipart/form-data': imagesForm, 'application/json': z.union([documentedImages, startBatchPredictionSchema]) },
    { maxBytes },
  );
}

/** Makes the function that reads several images. It throws errors of the whole request. */
export function createBatchReceiver(settings: ImageSettings): (request: Request) => Promise<ReceivedBatch> {
  const fetchImage = createImageFetcher({ hosts: settings.imageUrlHosts, maxBytes: settings.maxUploadBytes });
  const imageOfJson = async (value: unknown, index: number, request: Request): Promise<Buffer> => {
    const pointer = `#/images/${index}`;
    const named = parseRequest(imageSchema, value, pointer);
    return (await namedImage(named, pointer, fetchImage, request)).bytes;
  };
  return async (request) => {
    const type = mediaTypeOf(request);
    if (type === 'multipart/form-data') {
      const form = await readBody(request, maxBytes);
      return { images: imagesOfForm(form, request.headers['content-type'] ?? '') };
    }
    if (type !== 'application/json') {
      throw new PerennialError(
        'unsupported_type',
        `Send multipart/form-data or application/json, not ${type === '' ? 'a body without a content type' : type}.`,
      );
    }
    requireUtf8(request);
    const body = await parseJsonAside(await readBody(request, maxBytes), boundsOf(mostNamed));
    if (isJob(body)) return { job: parseRequest(startBatchPredictionSchema, body, '#') };
    const { images } = parseRequest(imagesSchema, body, '#');
    requireFew(images.length);
    return {
      images: images.map((value, index) => ({ filename: null, bytes: () => imageOfJson(value, index, request) })),
    };
  };
}

function imagesOfForm(body: Buffer, contentType: string): BatchedImage[] {
  const form = parseForm(body, contentType, mostImages + 20);
  const files = form.isCut ? [] : filesOf(form, 'files');
  requireFew(form.isCut ? Infinity : files.length);
  return files.map(({ filename, bytes }) => ({
    filename,
    bytes: () => Promise.resolve().then(() => filled(bytes, filename === null ? 'file' : `file “${filename}”`)),
  }));
}

function isJob(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'source' in body;
}

function requireFew(images: number): void {
  if (images <= mostImages) return;
  throw new PerennialError(
    'too_large',
    `A request may have ${mostImages} images; this one has more. Send fewer, or start a job: POST /api/v1/batch-predictions.`,
  );
}
