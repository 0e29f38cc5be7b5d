import fc from 'fast-check';
import { openCoreset } from '../../../../model/serving/coreset.js';
import { nearest, type SharedReferences } from '../../../../model/serving/nearest.js';

/** References whose rows are the given vectors, made unit vectors. */
function referencesOf(vectors: readonly (readonly number[])[], coresetRows = vectors.length): SharedReferences {
  const dimensions = vectors[0]?.length ?? 0;
  const unit = vectors.map((vector) => {
    const length = Math.hypot(...vector);
    return vector.map((value) => value / length);
  });
  const features = new Float32Array(new SharedArrayBuffer(4 * dimensions * vectors.length));
  features.set(unit.flat());
  return { features, dimensions, coresetRows, rows: vectors.length, transform: 'none' };
}

function distance(a: readonly number[], b: readonly number[]): number {
  const [lengthA, lengthB] = [Math.hypot(...a), Math.hypot(...b)];
  return Math.hypot(...a.map((value, at) => value / lengthA - (b[at] ?? 0) / lengthB));
}

describe('nearest', () => {
  const corners = [
    [1, 0, 0, 0, 0],
    [0, 1, 0, 0, 0],
    [0, 0, 0, 0, 1],
  ];

  it('finds the references in the direction of a feature, whatever its length, nearest first', () => {
    const found = nearest(Float32Array.of(0, 30, 0, 0, 10), referencesOf(corners), { count: 2 });
    expect(found.map(({ row }) => row)).toEqual([1, 2]);
    expect(found[0]?.distance).toBeCloseTo(distance([0, 30, 0, 0, 10], [0, 1, 0, 0, 0]), 5);
  });

  it('is 0 from itself and 2 from its opposite', () => {
    expect(nearest(Float32Array.of(0, 0, 0, 0, 7), referencesOf(corners))).toEqual([{ row: 2, distance: 0 }]);
    expect(nearest(Float32Array.of(-5, 0), referencesOf([[1, 0]]))[0]?.distance).toBeCloseTo(2, 6);
  });

  it('searches the coreset by default', () => {
    const references = referencesOf(corners, 2);
    const feature = Float32Array.of(1, 0, 0, 0, 9);
    expect(nearest(feature, references)[0]?.row).toBe(0);
    expect(nearest(feature, references, { among: 3 })[0]?.row).toBe(2);
    expect(nearest(feature, references, { among: 50, count: 50 })).toHaveLength(3);
  });
});

describe('references of square roots', () => {
  // In the direction of the first row as it is, and of the second by its square roots.
  const feature = Float32Array.of(9, 1, 0);
  const references = referencesOf([
    [9, 1, 0],
    [3, 1, 0],
  ]);

  it('are compared with the square roots of features', () => {
    const rooted: SharedReferences = { ...references, transform: 'square_root' };
    const rows = openCoreset(rooted);
    for (const found of [nearest(feature, rooted)[0], rows.nearest(feature)]) {
      expect(found?.row).toBe(1);
      expect(found?.distance).toBeCloseTo(0, 3);
    }
  });

  it('are not what bundles of earlier releases hold', () => {
    const rows = openCoreset(references);
    for (const found of [nearest(feature, references)[0], rows.nearest(feature)]) {
      expect(found?.row).toBe(0);
      expect(found?.distance).toBeCloseTo(0, 3);
    }
  });
});

describe('the coreset of a thread', () => {
  it('finds the same nearest row as plain arithmetic', () => {
    const number = fc.double({ min: -1, max: 1, noNaN: true }).filter((value) => Math.abs(value) > 1e-3);
    const vector = fc.array(number, { minLength: 7, maxLength: 7 });
    fc.assert(
      fc.property(fc.array(vector, { minLength: 1, maxLength: 9 }), vector, (vectors, feature) => {
        const rows = openCoreset(referencesOf(vectors));
        const found = rows.nearest(Float32Array.from(feature));
        const distances = vectors.map((one) => distance(one, feature));
        // Rounding to single precision is felt most where vectors are almost equal.
        expect(found?.distance).toBeCloseTo(Math.min(...distances), 2);
        expect(distances[found?.row ?? -1]).toBeCloseTo(Math.min(...distances), 2);
      }),
      { numRuns: 30 },
    );
  });

  it('leaves the other rows out', () => {
    const rows = openCoreset(
      referencesOf(
        [
          [1, 0],
          [0, 1],
        ],
        1,
      ),
    );
    expect(rows.nearest(Float32Array.of(0, 1))?.row).toBe(0);
  });

  it('multiplies all numbers of rows of any length', () => {
    for (const dimensions of [1, 15, 16, 17, 1280]) {
      const rows = [1, 2, 3].map((row) => Array.from({ length: dimensions }, (_, at) => Math.sin(row * 37 + at)));
      const references = referencesOf(rows);
      const feature = Float32Array.from(rows[1] ?? [], (value, at) => value + (at === dimensions - 1 ? 0.5 : 0));
      const found = openCoreset(references).nearest(feature);
      expect(found?.row).toBe(nearest(feature, references)[0]?.row);
      expect(found?.distance).toBeCloseTo(nearest(feature, references)[0]?.distance ?? NaN, 3);
    }
  });

  it('has no nearest row where there is none', () => {
    expect(openCoreset(referencesOf([[1, 0]], 0)).nearest(Float32Array.of(1, 0))).toBeNull();
  });
});
