import type { readFeatures } from '../features/feature-file.js';

/** Reads as `read` does and keeps the last answer: all trials of a search ask for the same features. */
export function rememberLast(read: typeof readFeatures): typeof readFeatures {
  let last: { asked: string; features: Float32Array } | null = null;
  return async (paths, sha256s) => {
    const asked = JSON.stringify([paths, sha256s]);
    if (last?.asked !== asked) {
      last = null;
      last = { asked, features: await read(paths, sha256s) };
    }
    return last.features;
  };
}
