import { judgeSmokeTest } from '../../../../activities/validation/judge.js';
import type { Variant } from '../../../../contracts/registry/bundle.js';
import { evaluationOf } from '../../../support/measurements.js';

const labels = ['dandelion', 'grass'];

/** Answers to images of dandelions: `right` by far, and then some with this probability of the right class. */
function answers(right: number, ...others: number[]): number[][] {
  return [...Array.from({ length: right }, () => 0.99), ...others].map((p) => [p, 1 - p]);
}

function judged(probabilities: number[][], trained: number, variant: Variant = 'fp32'): boolean {
  const truths = probabilities.map(() => 0);
  return judgeSmokeTest({ labels, evaluation: evaluationOf(trained) }, { probabilities, variant }, truths).passed;
}

describe('the smoke test of a version', () => {
  it('passes with the accuracy that training measured', () => {
    expect(judged(answers(99, 0.1), 0.99)).toBe(true);
    expect(judged(answers(398, 0.1, 0.1), 0.9975)).toBe(true);
  });

  it('does not pass when one image in a hundred is answered otherwise', () => {
    expect(judged(answers(99, 0.1), 1)).toBe(false);
    expect(judged(answers(99, 0.9), 0.99)).toBe(false);
  });

  it('passes when the image answered otherwise is a tie within the difference of two runtimes', () => {
    expect(judged(answers(99, 0.4996), 1)).toBe(true);
    expect(judged(answers(99, 0.5004), 0.99)).toBe(true);
    expect(judged(answers(19, 0.4996), 1)).toBe(true);
  });

  it('takes more for a tie in 8 bits', () => {
    expect(judged(answers(99, 0.48), 1, 'int8')).toBe(true);
    expect(judged(answers(99, 0.48), 1, 'fp32')).toBe(false);
    expect(judged(answers(99, 0.4), 1, 'int8')).toBe(false);
  });

  it('does not take a tie of two wrong classes for one with the right class', () => {
    const probabilities = [...answers(99).map((row) => [...row, 0]), [0.1, 0.4502, 0.4498]];
    const version = { labels: [...labels, 'moss'], evaluation: evaluationOf(1) };
    const truths = probabilities.map(() => 0);
    expect(judgeSmokeTest(version, { probabilities, variant: 'fp32' }, truths).passed).toBe(false);
  });

  it('does not pass a network that answers every image with a tie, or many otherwise', () => {
    for (const variant of ['fp32', 'int8'] as const) {
      expect(judged(answers(0, ...Array.from({ length: 100 }, () => 0.4999)), 0.95, variant)).toBe(false);
      expect(judged(answers(95, 0.4996, 0.4996, 0.4996, 0.4996, 0.4996), 1, variant)).toBe(false);
    }
  });

  it('does not pass with an answer that is no distribution', () => {
    expect(judged([...answers(99), [0.9, 0.05]], 1)).toBe(false);
  });
});
