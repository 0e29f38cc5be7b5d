import { fileURLToPath } from 'node:url';

/** Where the build leaves the workflow bundle and workers find it. */
export const bundlePath = fileURLToPath(new URL('workflow-bundle.js', import.meta.url));
