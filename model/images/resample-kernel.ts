import { inputSize } from '../../contracts/training/training.js';
import { add, assemble, constant, define, load32, multiply, simd } from './assembler.js';

/** Bits of a weight: all weights of a place add up to one. */
export const oneBits = 14;
/** Bits that the sums of the first pass lose, so that they fit into 16. */
const lostBits = 8;
const lastBits = 2 * oneBits - lostBits;

/** Bytes of a row after the first pass: three numbers of 16 bits for each place. */
export const rowBytes = inputSize * 6;

/** Bytes of a place in a filter: its first source pixel, and how many pairs of weights it has. */
export const placeBytes = 8;

const channelPairs = [0, 16, 3, 17, 1, 16, 4, 17, 2, 16, 5, 17, 16, 16, 16, 16];
const lowPairs = [0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23];
const highPairs = lowPairs.map((place) => place + 8);

/** Rows of RGB bytes become rows of `inputSize` pixels. `lift` holds what is added to the sums of red, green and blue. */
const reduceColumns = define(
  'reduceColumns',
  {
    parameters: ['source', 'lineBytes', 'height', 'filter', 'weights', 'lift', 'target'],
    numbers: ['places', 'place', 'weight', 'from', 'pairs'],
    vectors: ['sum'],
  },
  ({ get, set, advance, repeat }) => [
    repeat(
      'height',
      set('place', get('filter')),
      set('places', constant(inputSize)),
      set('weight', get('weights')),
      repeat(
        'places',
        set('from', add(get('source'), multiply(load32(get('place')), constant(3)))),
        set('pairs', load32(add(get('place'), constant(4)))),
        set('sum', simd.load(get('lift'))),
        repeat(
          'pairs',
          set('sum', simd.add(get('sum'), simd.dot(pixelPair(get('from')), simd.load4BytesToAll(get('weight'))))),
          advance('from', constant(6)),
          advance('weight', constant(4)),
        ),
        set('sum', simd.shiftRight(get('sum'), lostBits)),
        simd.store8Bytes(get('target'), simd.narrowTo16(get('sum'), get('sum'))),
        advance('target', constant(6)),
        advance('place', constant(placeBytes)),
      ),
      advance('source', get('lineBytes')),
    ),
  ],
);

/** Red, green and blue of two neighbours, side by side in 16 bits. */
function pixelPair(address: readonly number[]): readonly number[] {
  return simd.shuffle(simd.load8Bytes(address), simd.zero, channelPairs);
}

/** Rows of the first pass become `inputSize` rows of bytes, eight bytes of a row at a time. */
const reduceRows = define(
  'reduceRows',
  {
    parameters: ['source', 'filter', 'weights', 'target'],
    numbers: ['places', 'column', 'weight', 'from', 'pairs', 'start'],
    vectors: ['low', 'high', 'one', 'other', 'pair'],
  },
  ({ get, set, advance, repeat }) => [
    set('places', constant(inputSize)),
    repeat(
      'places',
      set('start', add(get('source'), multiply(load32(get('filter')), constant(rowBytes)))),
      set('column', constant(rowBytes / 16)),
      repeat(
        'column',
        set('from', get('start')),
        set('weight', get('weights')),
        set('pairs', load32(add(get('filter'), constant(4)))),
        set('low', simd.splat(constant(1 << (lastBits - 1)))),
        set('high', get('low')),
        repeat(
          'pairs',
          set('one', simd.load(get('from'))),
          set('other', simd.load(add(get('from'), constant(rowBytes)))),
          set('pair', simd.load4BytesToAll(get('weight'))),
          set('low', simd.add(get('low'), simd.dot(simd.shuffle(get('one'), get('other'), lowPairs), get('pair')))),
          set('high', simd.add(get('high'), simd.dot(simd.shuffle(get('one'), get('other'), highPairs), get('pair')))),
          advance('from', constant(2 * rowBytes)),
          advance('weight', constant(4)),
        ),
        set('low', simd.shiftRight(get('low'), lastBits)),
        set('high', simd.shiftRight(get('high'), lastBits)),
        set('low', simd.narrowTo16(get('low'), get('high'))),
        simd.store8Bytes(get('target'), simd.narrowToBytes(get('low'), get('low'))),
        advance('target', constant(8)),
        advance('start', constant(16)),
      ),
      set('weights', get('weight')),
      advance('filter', constant(placeBytes)),
    ),
  ],
);

/**
 * The two passes of the resampler as a module of WebAssembly. Sums are of whole numbers, so every machine gets the same
 * pixels. Weights are taken in pairs; beside the last of an odd number stands a zero.
 */
export const kernel = assemble([reduceColumns, reduceRows]);
