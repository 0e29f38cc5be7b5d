import { inputSize } from '../../contracts/training/training.js';
import { filterOf, type Filter } from './filter.js';
import { kernel, oneBits, rowBytes } from './resample-kernel.js';

/** RGB 0–255, row by row. */
export interface RgbImage {
  data: Uint8Array;
  width: number;
  height: number;
}

/** What is added to red, green and blue, in levels, before they are rounded. */
export type Lift = readonly [red: number, green: number, blue: number];
const noLift: Lift = [0, 0, 0];

/**
 * Resizes an image to the input of a network with a triangle filter, aligned at the centres of pixels: bilinear where a
 * side is enlarged, and the average of all pixels under the triangle where it is reduced. A mirrored or turned image gives
 * the mirrored or turned result, within 1 of 255. Pillow's `BILINEAR` and TensorFlow's `antialias=True` compute the same.
 */
export function resample(image: RgbImage, lift: Lift = noLift): Uint8Array {
  return resampleInPlace(image, lift).slice();
}

/** The same without a copy: the pixels are valid until the next call of a function of this file. */
export function resampleInPlace({ data, width, height }: RgbImage, lift: Lift = noLift): Uint8Array {
  const [columns, rows] = [filterOf(width), filterOf(height)];
  const room = roomFor({ columns, rows, height, sourceBytes: data.length });
  const isThere = data.buffer === memory.buffer && data.byteOffset === room.source;
  if (!isThere) bytes.set(data, room.source);
  new Int32Array(memory.buffer, liftAt, lift.length).set(lift.map((levels) => Math.round(levels * (1 << oneBits))));
  bytes.set(columns.bytes, room.columns);
  bytes.set(rows.bytes, room.rows);
  const [columnWeights, rowWeights] = [room.columns + columns.weightsAt, room.rows + rows.weightsAt];
  reduceColumns(room.source, width * 3, height, room.columns, columnWeights, liftAt, room.pass);
  reduceRows(room.pass, room.rows, rowWeights, resultAt);
  return bytes.subarray(resultAt, resultAt + resultBytes);
}

/**
 * Where a decoder may put the pixels of an image of that size, so that `resample` need not copy them. It holds them until
 * the next call of either function.
 */
export function pixelRoom(width: number, height: number): Uint8Array {
  const sourceBytes = width * height * 3;
  const { source } = roomFor({ columns: filterOf(width), rows: filterOf(height), height, sourceBytes });
  return bytes.subarray(source, source + sourceBytes);
}

// The memory of the passes, kept between calls: clearing new memory would take as long as filling it. Its parts in order:
// lift, result, the filters, the pixels after the first pass, the source.
const pageBytes = 65_536;
const memory = new WebAssembly.Memory({ initial: 16 });
let bytes = new Uint8Array(memory.buffer);
const { reduceColumns, reduceRows } = passesIn(memory);
const [liftAt, resultAt, resultBytes] = [0, 16, inputSize * inputSize * 3];

/** What the passes may touch behind their source and behind their result. */
const overrunBytes = rowBytes;

interface Room {
  columns: number;
  rows: number;
  pass: number;
  source: number;
}

/** Where the parts are, for which the memory grows if it must. */
function roomFor(parts: { columns: Filter; rows: Filter; height: number; sourceBytes: number }): Room {
  const columns = resultAt + resultBytes;
  const rows = columns + parts.columns.bytes.length;
  const pass = rows + parts.rows.bytes.length;
  const source = pass + parts.height * rowBytes + overrunBytes;
  const missing = source + parts.sourceBytes + overrunBytes - bytes.length;
  if (missing > 0) {
    memory.grow(Math.ceil(missing / pageBytes));
    bytes = new Uint8Array(memory.buffer);
  }
  return { columns, rows, pass, source };
}

function passesIn(host: WebAssembly.Memory): { reduceColumns: WebAssembly.Run; reduceRows: WebAssembly.Run } {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(kernel), { host: { memory: host } });
  if (!exports.reduceColumns || !exports.reduceRows) throw new Error('the resampler lacks a pass');
  return { reduceColumns: exports.reduceColumns, reduceRows: exports.reduceRows };
}
