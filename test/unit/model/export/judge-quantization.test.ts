import { judgeQuantization } from '../../../../model/export/judge-quantization.js';

const truths = Array.from({ length: 100 }, (_, image) => image % 2);
/** Names the true class with some confidence, but another one for the first `wrong` images. */
const answers = (wrong: number, confidence = 0.9): number[][] =>
  truths.map((truth, image) => {
    const named = image < wrong ? 1 - truth : truth;
    return named === 0 ? [confidence, 1 - confidence] : [1 - confidence, confidence];
  });

describe('the judgement of an 8-bit network', () => {
  it('passes one with nearly equal outputs, and gives its metrics', () => {
    const judgement = judgeQuantization(answers(5), answers(5, 0.89), truths);
    expect(judgement).toMatchObject({
      images: 100,
      fp32Accuracy: 0.95,
      int8Accuracy: 0.95,
      agreement: 1,
      passed: true,
    });
    expect(judgement.meanAbsoluteDifference).toBeCloseTo(0.01);
    expect(judgement.maxAbsoluteDifference).toBeCloseTo(0.01);
    expect(judgement.reasons.every((reason) => reason.startsWith('Passed'))).toBe(true);
  });

  it('tolerates one image of a hundred, but not two', () => {
    // Low confidence, so that the difference of probabilities does not decide.
    expect(judgeQuantization(answers(5, 0.51), answers(6, 0.51), truths).passed).toBe(true);
    const { passed, reasons } = judgeQuantization(answers(5, 0.51), answers(7, 0.51), truths);
    expect(passed).toBe(false);
    expect(reasons.filter((reason) => reason.startsWith('Failed'))).toEqual([
      'Failed: accuracy 0.930 in 8 bits and 0.950 in 32, at least 0.940 is needed.',
    ]);
  });

  it('tolerates one image where there are few', () => {
    const few = truths.slice(0, 12);
    expect(judgeQuantization(answers(0, 0.51).slice(0, 12), answers(1, 0.51).slice(0, 12), few).passed).toBe(true);
    expect(judgeQuantization(answers(0, 0.51).slice(0, 12), answers(2, 0.51).slice(0, 12), few).passed).toBe(false);
  });

  it('fails one that is as accurate, but on other images', () => {
    const other = [...answers(0, 0.51).slice(0, 95), ...answers(100, 0.51).slice(95)];
    const judgement = judgeQuantization(answers(5, 0.51), other, truths);
    expect(judgement).toMatchObject({ fp32Accuracy: 0.95, int8Accuracy: 0.95, agreement: 0.9, passed: false });
  });

  it('fails one that is more confident in the same classes', () => {
    expect(judgeQuantization(answers(5, 0.9), answers(5, 0.95), truths)).toMatchObject({ agreement: 1, passed: false });
  });

  it('fails with too few images', () => {
    const nine = truths.slice(0, 9);
    expect(judgeQuantization(answers(0).slice(0, 9), answers(0).slice(0, 9), nine).passed).toBe(false);
  });

  it('throws for NaN and for missing rows', () => {
    expect(() => judgeQuantization(answers(0), answers(0, NaN), truths)).toThrow('numbers');
    expect(() => judgeQuantization(answers(0), answers(0).slice(1), truths)).toThrow('numbers');
  });
});
