/** A value of a metric at a step. */
export interface Point {
  step: number;
  value: number;
}

/**
 * Reduces points, which are in order, to about `maxPoints`: the minimum and maximum of each bucket and the first and
 * last point, so that a curve keeps its spikes. Fewer points are returned unchanged.
 */
export function downsample<P extends Point>(points: readonly P[], maxPoints: number): P[] {
  if (points.length <= maxPoints) return [...points];
  const buckets = Math.max(1, Math.floor((maxPoints - 2) / 2));
  const kept = new Set<P>([...points.slice(0, 1), ...points.slice(-1)]);
  for (let index = 0; index < buckets; index += 1) {
    const from = Math.floor((index * points.length) / buckets);
    const bucket = points.slice(from, Math.floor(((index + 1) * points.length) / buckets));
    for (const point of extremesOf(bucket)) kept.add(point);
  }
  return points.filter((point) => kept.has(point));
}

function extremesOf<P extends Point>(points: readonly P[]): P[] {
  let [least] = points;
  let greatest = least;
  for (const point of points) {
    if (least === undefined || point.value < least.value) least = point;
    if (greatest === undefined || point.value > greatest.value) greatest = point;
  }
  return least && greatest ? [least, greatest] : [];
}
