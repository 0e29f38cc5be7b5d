import { checkTrainable } from '../../../../domain/datasets/check-trainable.js';
import { statistics } from '../../../support/measurements.js';

describe('checkTrainable', () => {
  it('accepts two classes with ten images each', () => {
    expect(checkTrainable({ ...statistics, classes: { dandelion: 10, grass: 10 } })).toBeNull();
  });

  it('refuses no images, and one class only', () => {
    expect(checkTrainable({ ...statistics, classes: {} })).toMatch(/no images/);
    expect(checkTrainable({ ...statistics, classes: { grass: 500 } })).toMatch(/one class only \(grass, 500 images\)/);
  });

  it('names every class with fewer than ten images, and how many it has', () => {
    const refusal = checkTrainable({ ...statistics, classes: { dandelion: 9, grass: 10, moss: 1 } });
    expect(refusal).toMatch(/dandelion has 9, moss has 1/);
    expect(refusal).not.toMatch(/grass/);
  });

  it('refuses a class without an image in a split', () => {
    const sides = { ...statistics.sides, test: { dandelion: 5, grass: 0 } };
    expect(checkTrainable({ ...statistics, sides })).toMatch(/grass has no image in the test split/);
  });
});
