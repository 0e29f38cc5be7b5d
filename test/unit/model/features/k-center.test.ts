import fc from 'fast-check';
import { kCenterOrder } from '../../../../model/features/k-center.js';
import {
  comparisonVector,
  distanceToNearest,
  unitDistance,
  unitVector,
} from '../../../../model/features/unit-vectors.js';

function onCircle(degrees: number): Float32Array {
  const radians = (degrees * Math.PI) / 180;
  return Float32Array.of(Math.cos(radians), Math.sin(radians));
}

const circles = fc.array(fc.integer({ min: 0, max: 359 }).map(onCircle), { minLength: 1, maxLength: 30 });

describe('unit vectors', () => {
  it('have length 1 and the same direction; zeros stay zeros', () => {
    expect(unitVector(Float32Array.of(3, 4))).toEqual(Float32Array.of(0.6, 0.8));
    expect(unitVector(new Float32Array(2))).toEqual(new Float32Array(2));
  });

  it('lie 0 apart when they are equal, and 2 when they are opposite', () => {
    const vector = unitVector(Float32Array.from({ length: 1280 }, (_, index) => Math.sin(index)));
    expect(unitDistance(vector, vector)).toBe(0);
    expect(unitDistance(onCircle(10), onCircle(190))).toBeCloseTo(2, 6);
    expect(distanceToNearest(onCircle(0), [onCircle(90), onCircle(60)])).toBeCloseTo(1, 6);
  });
});

describe('the vectors by which features are compared', () => {
  it('are the features themselves, or their square roots, at length 1', () => {
    const features = Float32Array.of(9, 0, 16);
    expect(comparisonVector(features, 'none')).toEqual(unitVector(features));
    expect(comparisonVector(features, 'square_root')).toEqual(Float32Array.of(0.6, 0, 0.8));
    expect(features).toEqual(Float32Array.of(9, 0, 16));
  });

  it('are numbers even where a feature is below zero', () => {
    expect(comparisonVector(Float32Array.of(-1e-9, 4), 'square_root')).toEqual(Float32Array.of(0, 1));
  });

  it('with square roots lie as far apart as the shares of their features, by Hellinger', () => {
    const shares = [
      [0.2, 0.3, 0.5],
      [0.6, 0.4, 0],
    ] as const;
    const [one, other] = [10, 3].map((total, at) =>
      comparisonVector(
        Float32Array.from(shares[at] ?? [], (share) => share * total),
        'square_root',
      ),
    );
    const hellinger = Math.sqrt(
      1 - shares[0].reduce((sum, share, at) => sum + Math.sqrt(share * (shares[1][at] ?? 0)), 0),
    );
    expect(unitDistance(one ?? new Float32Array(), other ?? new Float32Array())).toBeCloseTo(Math.SQRT2 * hellinger, 6);
  });
});

describe('a k-center order', () => {
  it('starts near the mean and adds the row furthest from all before', () => {
    const vectors = [0, 10, 20, 30, 90].map(onCircle);
    expect(kCenterOrder(vectors, 5)).toEqual([3, 4, 0, 1, 2]);
    expect(kCenterOrder(vectors, 2)).toEqual([3, 4, 0, 1, 2]);
  });

  it('holds each row once, and leaves no row further from the centers than the last center was', () => {
    fc.assert(
      fc.property(circles, fc.integer({ min: 1, max: 30 }), (vectors, most) => {
        const order = kCenterOrder(vectors, most);
        expect([...order].sort((a, b) => a - b)).toEqual(vectors.map((_, row) => row));
        const gapOf = (place: number, before: number): number =>
          distanceToNearest(
            vectors[order[place] ?? 0] ?? onCircle(0),
            order.slice(0, before).map((row) => vectors[row] ?? onCircle(0)),
          );
        const taken = Math.min(most, vectors.length);
        if (taken < 2) return;
        const last = gapOf(taken - 1, taken - 1);
        for (let place = taken; place < vectors.length; place += 1) {
          expect(gapOf(place, taken)).toBeLessThanOrEqual(last + 1e-6);
        }
      }),
    );
  });
});
