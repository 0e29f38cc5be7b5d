import { z } from 'zod';

/** What a version of an earlier preprocessing reaches on its test images with the pixels it is served with now. */
export interface Remeasured {
  images: number;
  accuracy: number;
}

/** Why it could not be measured: its bundle or its test images are gone or damaged. */
export interface NotRemeasured {
  failure: string;
}

export type RemeasurementOutcome = Remeasured | NotRemeasured;

/** As it is stored: without a time it is still to be done. */
export const remeasurementSchema = z.object({
  preprocessing: z.number().int(),
  images: z.number().int().nullable(),
  accuracy: z.number().nullable(),
  failure: z.string().nullable().describe('why it could not be measured'),
  measuredAt: z.iso.datetime().nullable().describe('null: still to be measured'),
});
export type Remeasurement = z.infer<typeof remeasurementSchema>;
