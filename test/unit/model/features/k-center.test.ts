import fc from 'fast-check';
import { kCenterOrder } from '../../../../model/features/k-center.js';
import { distanceToNearest, unitDistance, unitVector } from '../../../../model/features/unit-vectors.js';

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
