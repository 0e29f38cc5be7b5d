import type { Request } from 'express';
import { z } from 'zod';
import { PerennialError } from '../../../contracts/errors.js';
import { deadlineOf } from '../../http/deadline.js';
import type { ApiSettings } from '../../http/settings.js';
import type { BodyLimit } from '../../http/middleware/limit-body.js';
import { readBody } from '../../http/body/read-body.js';
import { rawBody, type BodyDefinition } from '../../http/route.js';
import { decodeBase64 } from '../../http/body/decode-base64.js';
import { createImageFetcher, type FetchImage } from './fetch-image.js';
import { filesOf, parseForm } from '../../http/body/parse-form.js';
import { boundsOf, mediaTypeOf } from '../../http/body/parse-json.js';
import { parseRequest } from '../../http/problems.js';
import { parseJsonAside } from '../parsing/parser-thread.js';

/** An image as received, unvalidated. */
export interface ReceivedImage {
  bytes: Buffer;
  /** The client's file name, if any. */
  filename: string | null;
}

/** Reads the image of a request. Throws `no_file`, `bad_request`, `too_large`, `unsupported_type` and those of URLs. */
export type ReceiveImage = (request: Request) => Promise<ReceivedImage>;

export type ImageSettings = Pick<ApiSettings, 'maxUploadBytes' | 'imageUrlHosts'>;

/** Allowance for the other parts of a form or JSON. */
export const overheadBytes = 64 * 1024;

const mostParts = 20;

const imageForm = z.object({
  file: z.string().meta({ format: 'binary', description: 'one JPEG, PNG or WebP image' }),
});
const rawImage = z.string().meta({ format: 'binary', description: 'the image itself' });

/** An image in JSON, for OpenAPI. */
export const documentedImage = z.union([
  z.strictObject({ image: z.string().min(1).describe('an image file as base64') }),
  z.strictObject({
    url: z.string().min(1).describe('URL of the image: http or https, on a host of IMAGE_URL_HOSTS'),
  }),
]);

/** The same for parsing: one schema gives better error messages than a union. */
export const imageSchema = z
  .strictObject({ image: z.string().optional(), url: z.string().optional() })
  .refine(({ image, url }) => (image === undefined) !== (url === undefined), {
    error: 'expected either image (base64) or url',
  });

/** The body of a route with one image: form, raw or JSON. */
export function imageBody(
  { maxUploadBytes }: ImageSettings,
  limit: Omit<BodyLimit, 'maxBytes'> = {},
): BodyDefinition<z.ZodUnknown> {
  return rawBody(
    {
      'multipart/form-data': imageForm,
      'image/jpeg': rawImage,
      'image/png': rawImage,
      'image/webp': rawImage,
      'application/octet-stream': rawImage,
      'application/json': documentedImage,
    },
    { maxBytes: maxUploadBytes + overheadBytes, ...limit },
  );
}

/** Makes the function that reads the image of a request, shared by all routes. */
export function createImageReceiver({ maxUploadBytes, imageUrlHosts }: ImageSettings): ReceiveImage {
  const fetchImage = createImageFetcher({ hosts: imageUrlHosts, maxBytes: maxUploadBytes });
  return async (request) => {
    const type = mediaTypeOf(request);
    if (type === 'multipart/form-data') {
      const body = await readBody(request, maxUploadBytes + overheadBytes);
      return imageOfForm(body, request.headers['content-type'] ?? '');
    }
    if (type === 'application/json') {
      const body = await readBody(request, maxUploadBytes + overheadBytes);
      const named = parseRequest(imageSchema, await parseJsonAside(body, boundsOf(1)), '#');
      return namedImage(named, '#', fetchImage, request);
    }
    if (type === 'application/octet-stream' || type.startsWith('image/')) {
      return { bytes: filled(await readBody(request, maxUploadBytes), 'body'), filename: null };
    }
    throw new PerennialError(
      'unsupported_type',
      `Send an image as multipart/form-data, image/jpeg, image/png, image/webp, application/octet-stream or in application/json, not ${type === '' ? 'without a content type' : type}.`,
    );
  };
}

/** The image in JSON, or at the URL in JSON. `pointer` is its place in the body. */
export async function namedImage(
  { image, url }: z.infer<typeof imageSchema>,
  pointer: string,
  fetchImage: FetchImage,
  request: Request,
): Promise<ReceivedImage> {
  if (url !== undefined && /^\s*data:/i.test(url.slice(0, 100))) {
    return { bytes: decodeBase64(url, `${pointer}/url`), filename: null };
  }
  if (url === undefined) return { bytes: decodeBase64(image ?? '', `${pointer}/image`), filename: null };
  const { deadlineAt } = deadlineOf(request);
  const withinMs = deadlineAt === undefined ? undefined : deadlineAt - performance.now();
  return { bytes: await fetchImage(url, withinMs), filename: null };
}

function imageOfForm(body: Buffer, contentType: string): ReceivedImage {
  const form = parseForm(body, contentType, mostParts);
  if (form.isCut) throw new PerennialError('bad_request', `The form has more than ${mostParts} parts; see /docs.`);
  const [file, surplus] = filesOf(form, 'file');
  if (surplus !== undefined) {
    throw new PerennialError('bad_request', 'There is a second file. Send one, or several to POST /predict/batch.');
  }
  return {
    bytes: filled(file?.bytes ?? body.subarray(0, 0), 'file in the field “file”'),
    filename: file?.filename ?? null,
  };
}

/** Refuses an empty image. */
export function filled(bytes: Buffer, what: string): Buffer {
  if (bytes.length > 0) return bytes;
  throw new PerennialError('no_file', `The ${what} is empty. Send an image.`);
}
