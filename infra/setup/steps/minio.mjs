import { join } from 'node:path';
import { findOnPath, isProgram } from '../commands.mjs';
import { obtain } from '../components.mjs';
import { cacheFolder, platformKey } from '../paths.mjs';
import { minio } from '../versions.mjs';
import { installWithGo } from '../registries.mjs';

/**
 * The second S3 server that the object-store tests run against.
 * @type {import('../run-setup.mjs').SetupStep}
 */
export const minioStep = {
  name: 'MinIO',
  isDone: (state) => state['minio'] !== undefined && isProgram(state['minio']),
  run: async (step) => {
    const onPath = findOnPath('minio');
    if (onPath !== null) return { summary: `${onPath} (your PATH)`, state: { minio: onPath } };
    const folder = join(cacheFolder(), 's3', `minio-${minio.version}-${platformKey()}`);
    const source = {
      name: 'Go',
      fetch: (/** @type {string} */ draft) => installWithGo(minio.goPackage, draft, step),
    };
    const from = await obtain(folder, [source], step);
    return { summary: `${minio.version}, ${from}`, state: { minio: join(folder, 'minio') } };
  },
  advice: 'Put minio on your PATH, or install Go 1.24 or newer to build it.',
};
