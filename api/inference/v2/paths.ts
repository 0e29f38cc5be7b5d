import { z } from 'zod';

/** The two paths of a model: without a version, and with one. */
export const modelPaths = [
  { prefix: '/v2/models/{model_name}', suffix: '', params: z.object({ model_name: z.string() }) },
  {
    prefix: '/v2/models/{model_name}/versions/{version}',
    suffix: 'Version',
    params: z.object({ model_name: z.string(), version: z.string() }),
  },
] as const;
export type Path = (typeof modelPaths)[number];
