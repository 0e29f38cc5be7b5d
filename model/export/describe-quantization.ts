import type { Quantization } from '../../contracts/registry/bundle.js';

/** Section of the model card on the int8 variant. Markdown. */
export function describeQuantization(quantization: Quantization): string[] {
  const { images, rangeImages, fp32Accuracy, int8Accuracy, agreement, meanAbsoluteDifference } = quantization;
  if (!quantization.passed) {
    return [
      'There is no int8 variant: this version is served in 32 bits.',
      ...quantization.reasons.filter((reason) => !reason.startsWith('Passed')).map((reason) => `- ${reason}`),
    ];
  }
  return [
    `The bundle also holds the network in 8 bits (${(quantization.sizeBytes / 1e6).toFixed(1)} MB), with ranges from ${rangeImages} training images;`,
    'it may serve where it is faster.',
    `On ${images} validation images its accuracy is ${int8Accuracy.toFixed(3)}, that of 32 bits ${fp32Accuracy.toFixed(3)};`,
    `both name the same class for ${agreement.toFixed(3)} of them, and probabilities differ by ${meanAbsoluteDifference.toFixed(4)} on average.`,
  ];
}
