import { add, assemble, constant, define, simd, type Code } from '../images/assembler.js';

/** Bytes of a row that one step of the kernel multiplies: four times four numbers, whose sums do not wait for each other. */
export const stepBytes = 64;
/** Bytes of the result of a row: four partial sums. */
export const sumBytes = 16;

/**
 * Products of rows with a vector, as a function of WebAssembly. Every prediction waits for it: plain JavaScript takes ten
 * times as long, and a run of ONNX Runtime for it costs more than the products.
 */
const products = define(
  'products',
  {
    parameters: ['row', 'rows', 'vector', 'steps', 'target'],
    numbers: ['at', 'left'],
    vectors: ['first', 'second', 'third', 'fourth'],
  },
  ({ get, set, advance, repeat }) => {
    const at = (name: 'row' | 'at', part: number): Code => simd.load(add(get(name), constant(part * sumBytes)));
    const sums = ['first', 'second', 'third', 'fourth'] as const;
    const term = (part: number): Code => simd.multiplyFloats(at('row', part), at('at', part));
    return [
      repeat(
        'rows',
        set('at', get('vector')),
        set('left', get('steps')),
        ...sums.map((sum) => set(sum, simd.zero)),
        repeat(
          'left',
          ...sums.map((sum, part) => set(sum, simd.addFloats(get(sum), term(part)))),
          advance('row', constant(stepBytes)),
          advance('at', constant(stepBytes)),
        ),
        set('first', simd.addFloats(get('first'), get('second'))),
        set('third', simd.addFloats(get('third'), get('fourth'))),
        simd.store(get('target'), simd.addFloats(get('first'), get('third'))),
        advance('target', constant(sumBytes)),
      ),
    ];
  },
);

export const productsKernel = assemble([products]);
