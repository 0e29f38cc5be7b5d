import type { Evaluation } from '../../contracts/training/training.js';
import { bootstrap, interval } from './bootstrap.js';
import { countConfusions, measure, measureClasses, type Measures } from './measures.js';
import { prepare } from './prepared.js';

export interface EvaluationInput {
  /** One row an image, one probability a label. */
  probabilities: readonly (readonly number[])[];
  /** The index of each image's true label. */
  truths: readonly number[];
  labels: readonly string[];
  seed: number;
}

/**
 * How well a model does on a set of images, every figure with its 95 % bootstrap interval. Macro averages go over the
 * classes that occur among truths or predictions; a class the set does not hold never makes a figure undefined.
 * @throws PerennialError dataset_too_small without an image, invalid_tensor when rows and truths do not fit the labels
 */
export function evaluate({ probabilities, truths, labels, seed }: EvaluationInput): Evaluation {
  const prepared = prepare(probabilities, truths, labels.length);
  const once = new Uint32Array(prepared.images).fill(1);
  const confusionMatrix = countConfusions(prepared, once);
  const drawn = bootstrap(prepared.images, seed, (counts) => measure(prepared, counts));
  const intervalOf = (name: keyof Measures): [number, number] => interval(drawn.map((measures) => measures[name]));
  return {
    images: prepared.images,
    ...measure(prepared, once),
    confusionMatrix,
    perClass: measureClasses(confusionMatrix).map(({ precision, recall, f1, support }, index) => ({
      label: labels[index] ?? String(index),
      precision,
      recall,
      f1,
      support,
    })),
    intervals: {
      loss: intervalOf('loss'),
      accuracy: intervalOf('accuracy'),
      precision: intervalOf('precision'),
      recall: intervalOf('recall'),
      f1: intervalOf('f1'),
      rocAuc: intervalOf('rocAuc'),
      calibrationError: intervalOf('calibrationError'),
    },
  };
}
