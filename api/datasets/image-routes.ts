import { z } from 'zod';
import { sha256Schema } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import type { StoredImage, ImageStore } from '../../stores/datasets/images.js';
import { defineRoute, text, type Route } from '../http/route.js';
import { sendObject } from '../http/send.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';

interface Dependencies {
  images: Pick<ImageStore, 'find'>;
  objects: Pick<ObjectStore, 'open'>;
}

/** Path of an image of a dataset. */
export function imageUrl(sha256: string): string {
  return `/api/v1/images/${sha256}`;
}

/** The content of a digest never changes, but caches must drop an erased image soon. */
const cacheControl = 'private, max-age=3600, immutable';

const imageContents = { 'image/jpeg': z.string(), 'image/png': z.string(), 'image/webp': z.string() };

/** The original images of datasets. */
export function imageRoutes({ images, objects }: Dependencies): Route[] {
  return [
    defineRoute({
      method: 'get',
      path: imageUrl('{sha256}'),
      operationId: 'getImage',
      summary: 'An image of a dataset, by its SHA-256',
      tag: 'datasets',
      params: z.object({ sha256: sha256Schema }),
      success: { ...text('image/jpeg', 'The original file'), otherContents: imageContents },
      problems: ['bad_request', 'not_found', 'database_unavailable', 'object_store_unavailable'],
      async handle({ params: { sha256 }, request, response }) {
        const image = presentImage(sha256, await images.find([sha256]));
        const headers = {
          ETag: `"${sha256}"`,
          'Cache-Control': cacheControl,
          'Content-Type': `image/${image.format}`,
          'Content-Length': String(image.sizeBytes),
        };
        await sendObject(request, response, headers, () => objects.open(image.objectKey));
        return { body: '' };
      },
    }),
  ];
}

function presentImage(sha256: string, [image]: readonly StoredImage[]): StoredImage {
  if (image === undefined) throw new PerennialError('not_found', `No dataset has an image ${sha256}.`);
  if (image.erasedAt === null) return image;
  throw new PerennialError('not_found', `The image ${sha256} was erased on request at ${image.erasedAt}.`);
}
