/** Decodes little-endian IEEE 754 half-precision numbers. Every half is exact in single precision. */
export function decodeHalf(bytes: Uint8Array): Float32Array {
  const numbers = Float32Array.from({ length: 0x10000 }, (_, bits) => halfToNumber(bits));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(bytes.byteLength >> 1);
  for (let index = 0; index < values.length; index++) values[index] = numbers[view.getUint16(2 * index, true)] ?? 0;
  return values;
}

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
