import { at, calibrationBins, type Prepared } from './prepared.js';

/** Metrics of a model; `evaluate` adds an interval to each. */
export interface Measures {
  loss: number;
  accuracy: number;
  precision: number;
  recall: number;
  f1: number;
  rocAuc: number;
  calibrationError: number;
}

export interface ClassMeasures {
  precision: number;
  recall: number;
  f1: number;
  support: number;
  /** Whether the class occurs among truths or predictions. */
  occurs: boolean;
}

/**
 * Metrics with each image counted `counts[image]` times: all ones for the plain metrics, a resample's counts for that
 * resample. Nothing is sorted here, so that a thousand resamples are cheap.
 */
export function measure(prepared: Prepared, counts: Uint32Array): Measures {
  const matrix = countConfusions(prepared, counts);
  const total = counts.reduce((sum, count) => sum + count, 0);
  return {
    loss: prepared.losses.reduce((sum, loss, image) => sum + loss * at(counts, image), 0) / total,
    accuracy: matrix.reduce((sum, row, label) => sum + at(row, label), 0) / total,
    ...macroAverages(matrix),
    rocAuc: macroRocAuc(prepared, counts),
    calibrationError: calibrationError(prepared, counts) / total,
  };
}

/** Precision, recall and F1, averaged over the classes that occur. */
export function macroAverages(matrix: readonly (readonly number[])[]): Pick<Measures, 'precision' | 'recall' | 'f1'> {
  const classes = measureClasses(matrix).filter((one) => one.occurs);
  return {
    precision: mean(classes.map((one) => one.precision)),
    recall: mean(classes.map((one) => one.recall)),
    f1: mean(classes.map((one) => one.f1)),
  };
}

/** Rows are true classes, columns predicted ones. */
export function countConfusions(prepared: Prepared, counts: Uint32Array): number[][] {
  const { classes, truths, predicted } = prepared;
  const cells = new Float64Array(classes * classes);
  for (let image = 0; image < prepared.images; image += 1) {
    const cell = at(truths, image) * classes + at(predicted, image);
    cells[cell] = at(cells, cell) + at(counts, image);
  }
  return Array.from({ length: classes }, (_, row) => [...cells.subarray(row * classes, (row + 1) * classes)]);
}

/** Precision, recall and F1 of each class; 0 where the denominator is 0, as in scikit-learn. */
export function measureClasses(matrix: readonly (readonly number[])[]): ClassMeasures[] {
  return matrix.map((row, label) => {
    const right = at(row, label);
    const support = row.reduce((sum, count) => sum + count, 0);
    const predicted = matrix.reduce((sum, other) => sum + at(other, label), 0);
    return {
      precision: ratio(right, predicted),
      recall: ratio(right, support),
      f1: ratio(2 * right, support + predicted),
      support,
      occurs: support + predicted > 0,
    };
  });
}

/**
 * Macro one-vs-rest ROC-AUC; of two classes, the ordinary ROC-AUC. A class with only positives or only negatives has no
 * curve and is skipped; without any curve the value is 0.5, that of chance.
 */
function macroRocAuc(prepared: Prepared, counts: Uint32Array): number {
  const labels = prepared.classes === 2 ? [1] : prepared.rankings.map((_, label) => label);
  const areas = labels.map((label) => rocAuc(prepared, label, counts)).filter((area) => area !== null);
  return areas.length === 0 ? 0.5 : mean(areas);
}

/** The probability that an image of the class scores above one of another class, equal scores counting half. */
function rocAuc(prepared: Prepared, label: number, counts: Uint32Array): number | null {
  const ranking = prepared.rankings[label];
  if (ranking === undefined) return null;
  let positives = 0;
  let negatives = 0;
  let wins = 0;
  let tiedPositives = 0;
  let tiedNegatives = 0;
  let tiedScore = Number.NaN;
  const settleTie = (): void => {
    wins += tiedNegatives * (positives + tiedPositives / 2);
    positives += tiedPositives;
    negatives += tiedNegatives;
    tiedPositives = 0;
    tiedNegatives = 0;
  };
  for (const image of ranking.order) {
    const score = at(ranking.scores, image);
    if (score !== tiedScore) settleTie();
    tiedScore = score;
    if (at(prepared.truths, image) === label) tiedPositives += at(counts, image);
    else tiedNegatives += at(counts, image);
  }
  settleTie();
  return positives === 0 || negatives === 0 ? null : wins / (positives * negatives);
}

/** Sum over the bins of |right answers - sum of their confidences|. */
function calibrationError(prepared: Prepared, counts: Uint32Array): number {
  const gaps = new Float64Array(calibrationBins);
  for (let image = 0; image < prepared.images; image += 1) {
    const bin = at(prepared.bins, image);
    const right = at(prepared.truths, image) === at(prepared.predicted, image) ? 1 : 0;
    gaps[bin] = at(gaps, bin) + at(counts, image) * (right - at(prepared.confidences, image));
  }
  return gaps.reduce((sum, gap) => sum + Math.abs(gap), 0);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
