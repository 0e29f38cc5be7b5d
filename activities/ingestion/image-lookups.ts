import type { ImageFacts, PixelIdentity } from '../../contracts/datasets/datasets.js';
import { coalesce } from '../../platform/coalesce.js';
import type { ImageStatus } from '../../stores/datasets/ingestion-lookups.js';
import type { IngestionDependencies } from './dependencies.js';

/** What an ingestion asks the database about single images. Questions of the same moment share a statement. */
export interface ImageLookups {
  status(sha256: string): Promise<ImageStatus>;
  /** Whether an image with these pixels was erased, and the recorded image with the same MD5. */
  obstacles(image: ImageFacts & PixelIdentity): Promise<{ isErased: boolean; holder: string | null }>;
  /** Protects an object from retention until it is recorded; call it before the upload. */
  claim(objectKey: string): Promise<void>;
}

export function createImageLookups({
  ingestions,
  pixels,
}: Pick<IngestionDependencies, 'ingestions' | 'pixels'>): ImageLookups {
  return {
    status: coalesce(async (sha256s) => {
      const statuses = await ingestions.imageStatuses(sha256s);
      return (sha256) => statuses.get(sha256) ?? 'new';
    }),
    obstacles: coalesce(async (images) => {
      const [erased, holders] = await Promise.all([
        pixels.erasedAmong(images),
        ingestions.holdersOfMd5(images.map(({ md5 }) => md5)),
      ]);
      return ({ pixelSha256, md5 }) => ({ isErased: erased.has(pixelSha256), holder: holders.get(md5) ?? null });
    }),
    claim: coalesce(async (objectKeys) => {
      await ingestions.claim(objectKeys);
      return () => undefined;
    }),
  };
}
