import type { Reliability } from '../../contracts/registry/bundle.js';
import { measure } from './measures.js';
import { at, calibrationBins, prepare } from './prepared.js';

/** The bins of a reliability diagram, that is accuracy by confidence, and the calibration error over all of them. */
export function measureReliability(
  probabilities: readonly (readonly number[])[],
  truths: readonly number[],
): Reliability {
  const prepared = prepare(probabilities, truths, probabilities[0]?.length ?? 0);
  const once = new Uint32Array(prepared.images).fill(1);
  return {
    images: prepared.images,
    calibrationError: measure(prepared, once).calibrationError,
    bins: Array.from({ length: calibrationBins }, (_, bin) => {
      const members = truths.flatMap((_truth, image) => (at(prepared.bins, image) === bin ? [image] : []));
      const confidences = members.map((image) => at(prepared.confidences, image));
      const right = members.filter((image) => at(truths, image) === at(prepared.predicted, image)).length;
      return {
        from: bin / calibrationBins,
        to: (bin + 1) / calibrationBins,
        images: members.length,
        // Probabilities are 32-bit floats: a probability of 1 may be stored slightly above 1.
        meanConfidence: members.length === 0 ? null : Math.min(1, sum(confidences) / members.length),
        accuracy: members.length === 0 ? null : right / members.length,
      };
    }),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
