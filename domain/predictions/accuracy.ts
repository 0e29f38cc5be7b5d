import type { ProductionAccuracy } from '../../contracts/predictions/predictions.js';
import { wilsonInterval } from '../wilson-interval.js';

interface ConfusionCount {
  label: string;
  predicted: string;
  predictions: number;
}

/** The accuracy of labelled predictions, of which there are so many for each label and predicted class. */
export function accuracyOf(counts: readonly ConfusionCount[]): ProductionAccuracy {
  const sum = (rows: readonly ConfusionCount[]): number => rows.reduce((total, row) => total + row.predictions, 0);
  const labelled = sum(counts);
  const correct = sum(counts.filter(({ label, predicted }) => label === predicted));
  return {
    labelled,
    correct,
    accuracy: labelled === 0 ? null : correct / labelled,
    interval: wilsonInterval(correct, labelled),
  };
}
