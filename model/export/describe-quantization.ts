import type { Quantization } from '../../contracts/registry/bundle.js';

/** What a model card says of the form of the network in 8 bits. */
export function describeQuantization(quantization: Quantization): string[] {
  const { images, rangeImages, fp32Accuracy, int8Accuracy, agreement, meanAbsoluteDifference } = quantization;
  if (!quantization.passed) {
    return [
      'There is none: this version is served in 32 bits.',
      ...quantization.reasons.filter((reason) => !reason.startsWith('Passed')).map((reason) => `- ${reason}`),
    ];
  }
  return [
    `The network is here in 8 bits as well (${(quantization.sizeBytes / 1e6).toFixed(1)} MB), with ranges taken from ${rangeImages} training images;`,
    'where it is faster, it may answer instead.',
    `On ${images} validation images its accuracy is ${int8Accuracy.toFixed(3)}, that of 32 bits ${fp32Accuracy.toFixed(3)};`,
    `both name the same class for ${agreement.toFixed(3)} of them, and probabilities differ by ${meanAbsoluteDifference.toFixed(4)} on average.`,
  ];
}
