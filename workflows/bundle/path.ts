import { fileURLToPath } from 'node:url';

/** Where the build writes the workflow bundle, and workers read it. */
export const bundlePath = fileURLToPath(new URL('workflow-bundle.js', import.meta.url));
