import type { ModelVersion } from '../../contracts/registry/registry.js';
import { percent } from '../../domain/percent.js';
import type { Remeasurement } from '../../contracts/registry/remeasurement.js';

/** Section of the model card of a version that was measured with the pixels of an earlier release. Markdown. */
export function describeRemeasurement({ evaluation }: ModelVersion, again: Remeasurement): string {
  return [
    '',
    '## With the pixels of this release',
    '',
    'The figures above were measured by an earlier release, which turned files into pixels in another way. The version is',
    'served with the pixels of this release. Its temperature, thresholds and limit of unfamiliar images are those of its',
    'training; a retraining computes them anew.',
    '',
    describeAccuracy(evaluation.accuracy, again),
    '',
  ].join('\n');
}

function describeAccuracy(before: number, { images, accuracy, failure, measuredAt }: Remeasurement): string {
  if (measuredAt === null) return 'Its accuracy with these pixels is still to be measured.';
  if (images === null || accuracy === null)
    return `It could not be measured with these pixels (${failure ?? 'unknown'}). Validate the version, or train a new one.`;
  const difference = 100 * (accuracy - before);
  return (
    `Accuracy before: ${percent(before)}. With these pixels, on ${images} test images: **${percent(accuracy)}** ` +
    `(${difference >= 0 ? '+' : '−'}${Math.abs(difference).toFixed(1)} points), measured on ${measuredAt.slice(0, 10)}.`
  );
}
