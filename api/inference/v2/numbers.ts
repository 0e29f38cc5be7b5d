import type { V2Datatype } from '../../../contracts/inference/http-v2.js';

/** Reads one element of a binary tensor. */
export interface NumberFormat {
  bytes: number;
  read(view: DataView, offset: number): number;
}

/** Datatypes for pixels, all little-endian. */
const formats: Readonly<Partial<Record<V2Datatype, NumberFormat>>> = {
  UINT8: { bytes: 1, read: (view, offset) => view.getUint8(offset) },
  INT8: { bytes: 1, read: (view, offset) => view.getInt8(offset) },
  UINT16: { bytes: 2, read: (view, offset) => view.getUint16(offset, true) },
  INT16: { bytes: 2, read: (view, offset) => view.getInt16(offset, true) },
  UINT32: { bytes: 4, read: (view, offset) => view.getUint32(offset, true) },
  INT32: { bytes: 4, read: (view, offset) => view.getInt32(offset, true) },
  UINT64: {
    bytes: 8,
    read: (view, offset) => view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32,
  },
  INT64: { bytes: 8, read: (view, offset) => view.getUint32(offset, true) + view.getInt32(offset + 4, true) * 2 ** 32 },
  FP16: { bytes: 2, read: (view, offset) => halfToNumber(view.getUint16(offset, true)) },
  FP32: { bytes: 4, read: (view, offset) => view.getFloat32(offset, true) },
  FP64: { bytes: 8, read: (view, offset) => view.getFloat64(offset, true) },
};

/** Binary layout of a datatype; null for non-numeric ones. */
export function numberFormatOf(datatype: V2Datatype): NumberFormat | null {
  return formats[datatype] ?? null;
}

/** Decodes an IEEE 754 half-precision number. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
