import type { Evaluation } from '../../contracts/training/training.js';
import { bootstrap, interval } from './bootstrap.js';
import { countConfusions, measure, measureClasses, type Measures } from './measures.js';
import { prepare } from './prepared.js';

export interface EvaluationInput {
  /** One row per image, one probability per label. */
  probabilities: readonly (readonly number[])[];
  /** The index of each image's true label. */
  truths: readonly number[];
  labels: readonly string[];
  seed: number;
}

/**
 * Metrics of a model on a set of images, each with a 95 % bootstrap interval. Macro averages cover the classes that
 * occur among truths or predictions, so that an absent class never makes a metric undefined.
 * @throws PerennialError dataset_too_small without images, invalid_tensor when rows or truths do not match the labels
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
