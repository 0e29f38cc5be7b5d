import type { RgbImage } from '../../../../model/images/resample.js';

/**
 * The definition, pixel by pixel and in floating point: each pixel of the result is the mean of the source pixels around
 * its centre, weighted by a triangle one result pixel wide to each side (one source pixel where the side is enlarged).
 */
export function referenceResample({ data, width, height }: RgbImage, side: number): Float64Array {
  const columns = Array.from({ length: side }, (_, place) => weightsAt(place, side, width));
  const result = new Float64Array(side * side * 3);
  for (let y = 0; y < side; y += 1) {
    const rows = weightsAt(y, side, height);
    columns.forEach((around, x) => {
      for (let channel = 0; channel < 3; channel += 1) {
        let value = 0;
        for (const row of rows) {
          for (const column of around) {
            value += row.weight * column.weight * (data[(row.at * width + column.at) * 3 + channel] ?? NaN);
          }
        }
        result[(y * side + x) * 3 + channel] = value;
      }
    });
  }
  return result;
}

function weightsAt(place: number, side: number, length: number): { at: number; weight: number }[] {
  const scale = length / side;
  const reach = Math.max(1, scale);
  const centre = (place + 0.5) * scale;
  const shares = Array.from({ length }, (_, at) => ({
    at,
    weight: Math.max(0, 1 - Math.abs(at + 0.5 - centre) / reach),
  }));
  const total = shares.reduce((sum, { weight }) => sum + weight, 0);
  return shares.flatMap(({ at, weight }) => (weight > 0 ? [{ at, weight: weight / total }] : []));
}
