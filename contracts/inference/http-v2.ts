import { z } from 'zod';
import { problemSchema } from '../http/problem.js';
import { inputScaleSchema } from './input-scale.js';

/** Open Inference Protocol, version 2: requests and responses below `/v2`. */

/** Tensor datatypes; FP16 is binary only. */
export const v2Datatypes = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
] as const;
export type V2Datatype = (typeof v2Datatypes)[number];

/** Output tensors; default: all. */
export const v2OutputNames = [
  'probabilities',
  'label',
  'confidence',
  'abstained',
  'unfamiliar',
  'prediction_id',
] as const;
export type V2OutputName = (typeof v2OutputNames)[number];

/** Header with the length of the JSON in a mixed body. */
export const v2HeaderLength = 'Inference-Header-Content-Length';

/** RFC 9457 and the protocol's own `error` in one object. */
export const v2ProblemSchema = problemSchema
  .extend({ error: z.string().describe('the same as `detail`, as the protocol demands') })
  .meta({ id: 'V2Problem' });

export const v2ServerSchema = z
  .object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) })
  .meta({ id: 'V2Server' });

export const v2LiveSchema = z.object({ live: z.boolean() });

export const v2ReadySchema = z.object({ ready: z.boolean(), live: z.boolean() });
export const v2ModelReadySchema = z.object({ name: z.string(), ready: z.boolean() });

const tensorMetadataSchema = z.object({
  name: z.string(),
  datatype: z.enum(v2Datatypes),
  shape: z.array(z.number().int()),
  parameters: z.record(z.string(), z.string()).optional(),
});

export const v2ModelSchema = z
  .object({
    name: z.string(),
    versions: z.array(z.string()),
    platform: z.string(),
    inputs: z.array(tensorMetadataSchema),
    outputs: z.array(tensorMetadataSchema),
  })
  .meta({ id: 'V2Model' });

const dimension = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const inputParametersSchema = z.looseObject({
  binary_data_size: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  content_type: z.string().nullable().optional(),
  scale: inputScaleSchema
    .nullable()
    .optional()
    .describe('what the values are: 1 from 0 to 1, 255 from 0 to 255; default: by the values'),
});

const outputParametersSchema = z.looseObject({
  binary_data: z.boolean().optional(),
  classification: z.number().int().min(0).max(1_000_000).optional().describe('number of top classes, as text'),
});

const requestParametersSchema = z.looseObject({
  binary_data_output: z.boolean().optional(),
  timeout: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional().describe('microseconds; 0 is none'),
});

const inputSchema = z.object({
  name: z.string(),
  shape: z.array(dimension).max(8),
  datatype: z.enum(v2Datatypes),
  parameters: inputParametersSchema.nullable().optional(),
  data: z.unknown().optional(),
});
export type V2Input = z.infer<typeof inputSchema>;

const outputSchema = z.object({
  name: z.enum(v2OutputNames),
  parameters: outputParametersSchema.nullable().optional(),
});
export type V2RequestedOutput = z.infer<typeof outputSchema>;

const oneInput = 'expected one input, `image`';

/** The JSON of a request. Unknown members are allowed: clients add their own. */
export const v2InferRequestSchema = z.object({
  id: z.string().max(1_000).nullable().optional(),
  parameters: requestParametersSchema.nullable().optional(),
  inputs: z.array(inputSchema).min(1, oneInput).max(1, oneInput),
  outputs: z.array(outputSchema).max(v2OutputNames.length).nullable().optional(),
});
export type V2InferRequest = z.infer<typeof v2InferRequestSchema>;

/** The same for OpenAPI; tensor data is checked in code, against shape and datatype. */
export const v2DocumentedRequestSchema = v2InferRequestSchema
  .extend({
    inputs: z
      .array(
        inputSchema.extend({
          name: z.literal('image'),
          data: z
            .array(z.unknown())
            .optional()
            .describe(
              'pixels from 0 to 255, flat in row-major order or nested as the shape; for BYTES image files in base64',
            ),
        }),
      )
      .min(1)
      .max(1),
  })
  .meta({ id: 'V2InferRequest' });

const scalar = z.union([z.number(), z.string(), z.boolean()]);

const answeredTensorSchema = z.object({
  name: z.string(),
  shape: z.array(z.number().int()),
  datatype: z.enum(v2Datatypes),
  parameters: z.record(z.string(), scalar).optional(),
  data: z.array(scalar).optional(),
});

export const v2InferResponseSchema = z
  .object({
    model_name: z.string(),
    model_version: z.string(),
    id: z.string().describe('id of the request, or of the first prediction'),
    parameters: z.object({
      prediction_id: z.string().describe('of the first image'),
      scale: inputScaleSchema
        .optional()
        .describe('1 if the numbers were taken as values from 0 to 1, 255 if as pixels'),
    }),
    outputs: z.array(answeredTensorSchema),
  })
  .meta({ id: 'V2InferResponse' });
export type V2InferResponse = z.infer<typeof v2InferResponseSchema>;
