import { createRequire } from 'node:module';

/** Modules that look for Jest, such as the loader of the JPEG decoder's binary, take it for a Jest that mocks modules. */
Object.assign(globalThis.jest, { requireActual: createRequire(import.meta.url) });
