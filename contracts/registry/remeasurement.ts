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
