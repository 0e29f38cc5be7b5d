import { valueOf } from '../../contracts/datasets/by-label.js';
import { splits, type DatasetStatistics } from '../../contracts/datasets/datasets.js';

/** With fewer images of a class, its splits are too small and its metrics mean nothing. */
export const minimumImagesOfClass = 10;

/** Why a dataset version cannot be trained on, with the class and the number; null when it can. */
export function checkTrainable(statistics: DatasetStatistics): string | null {
  const classes = Object.entries(statistics.classes);
  const [only] = classes;
  if (!only) return 'The dataset holds no images. Ingest a folder of class folders, then start the training again.';
  if (classes.length === 1) {
    return `The dataset holds one class only (${only[0]}, ${only[1]} images); a classifier needs at least two. Add images of another class.`;
  }
  const small = classes.filter(([, images]) => images < minimumImagesOfClass);
  if (small.length > 0) {
    const named = small.map(([label, images]) => `${label} has ${images}`).join(', ');
    return `Every class needs at least ${minimumImagesOfClass} images, but ${named}. Add images and start the training again.`;
  }
  for (const split of splits) {
    const missing = classes.find(([label]) => (valueOf(statistics.sides[split], label) ?? 0) === 0);
    if (missing) {
      return `Class ${missing[0]} has no image in the ${split} split, because images were removed. Add images of this class.`;
    }
  }
  return null;
}
