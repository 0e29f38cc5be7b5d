import { bundleFiles, type Calibration, type References, type Reliability } from '../../contracts/registry/bundle.js';

/** A reliability diagram of which only the error matters. */
function reliability(calibrationError: number): Reliability {
  return {
    images: 99,
    calibrationError,
    bins: Array.from({ length: 15 }, (_, bin) => ({
      from: bin / 15,
      to: (bin + 1) / 15,
      images: bin === 14 ? 99 : 0,
      meanConfidence: bin === 14 ? 0.98 : null,
      accuracy: bin === 14 ? 0.96 : null,
    })),
  };
}

/** Calibration of a tiny bundle: 49 of 99 answers have a confidence of 0.9 or more, none of these is wrong; nine are in all. */
export const tinyCalibration: Calibration = {
  temperature: 1.25,
  validation: reliability(0.03),
  test: reliability(0.02),
  uncalibratedTest: reliability(0.04),
  riskImages: 99,
  riskCurve: [
    { threshold: 0.6, accepted: 99, wrong: 9 },
    { threshold: 0.9, accepted: 49, wrong: 0 },
  ],
};

/** References of a tiny bundle, by file: it was trained on a red image and a green one. */
export function tinyReferences(): Record<string, string | Uint8Array> {
  const references: References = {
    dimensions: 3,
    covering: 2,
    images: [
      { sha256: 'a'.repeat(64), label: 'dandelion' },
      { sha256: 'b'.repeat(64), label: 'grass' },
    ],
    unfamiliarAbove: { fp32: 0.5, int8: null },
    heldOutShare: 0.98,
    transform: 'none',
  };
  const vectors = Float32Array.of(1, 0, 0, 0, 1, 0);
  return {
    [bundleFiles.references]: JSON.stringify(references),
    [bundleFiles.referenceFeatures]: new Uint8Array(vectors.buffer),
  };
}
