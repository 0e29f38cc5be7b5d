/**
 * Writes functions for WebAssembly: as expressions whose operands come first, which is how its code is laid out. Only what
 * the resampler and the search for the nearest training image need; the numbers are those of the WebAssembly specification,
 * with its proposal for SIMD.
 */
export type Code = readonly number[];

const [i32, v128, emptyType] = [0x7f, 0x7b, 0x40];

/** Code that uses the variables of a function by their names. */
export interface Variables<Name extends string> {
  get(name: Name): Code;
  set(name: Name, value: Code): Code;
  /** Adds a number to a variable. */
  advance(name: Name, by: Code): Code;
  /** Runs the body, counts the variable down, and repeats until it is zero. */
  repeat(counter: Name, ...body: readonly Code[]): Code;
}

function variablesOf<Name extends string>(names: readonly Name[]): Variables<Name> {
  const get = (name: Name): Code => [0x20, ...unsigned(names.indexOf(name))];
  const set = (name: Name, value: Code): Code => [...value, 0x21, ...unsigned(names.indexOf(name))];
  const advance = (name: Name, by: Code): Code => set(name, add(get(name), by));
  return {
    get,
    set,
    advance,
    repeat: (counter, ...body) => [
      ...[0x03, emptyType, ...body.flat()],
      ...[...advance(counter, constant(-1)), ...get(counter), 0x0d, 0, 0x0b],
    ],
  };
}

export function constant(value: number): Code {
  return [0x41, ...signed(value)];
}

export function add(one: Code, other: Code): Code {
  return [...one, ...other, 0x6a];
}

export function multiply(one: Code, other: Code): Code {
  return [...one, ...other, 0x6c];
}

export function load32(address: Code): Code {
  return [...address, 0x28, 2, 0];
}

/** 16 bytes at once: four numbers of 32 bits, eight of 16, or bytes. */
export const simd = {
  load: (address: Code): Code => [...address, ...vector(0), 0, 0],
  /** Eight bytes, and eight zeros. */
  load8Bytes: (address: Code): Code => [...address, ...vector(93), 0, 0],
  /** Four bytes, four times. */
  load4BytesToAll: (address: Code): Code => [...address, ...vector(9), 0, 0],
  store: (address: Code, value: Code): Code => [...address, ...value, ...vector(11), 0, 0],
  store8Bytes: (address: Code, value: Code): Code => [...address, ...value, ...vector(91), 0, 0, 0],
  zero: [...vector(12), ...new Array<number>(16).fill(0)],
  splat: (value: Code): Code => [...value, ...vector(17)],
  /** Bytes of the first operand by their places 0 to 15, and of the second by 16 to 31. */
  shuffle: (one: Code, other: Code, places: readonly number[]): Code => [...one, ...other, ...vector(13), ...places],
  add: (one: Code, other: Code): Code => [...one, ...other, ...vector(174)],
  addFloats: (one: Code, other: Code): Code => [...one, ...other, ...vector(228)],
  multiplyFloats: (one: Code, other: Code): Code => [...one, ...other, ...vector(230)],
  /** Products of numbers of 16 bits, of which each two neighbours are added. */
  dot: (one: Code, other: Code): Code => [...one, ...other, ...vector(186)],
  shiftRight: (value: Code, bits: number): Code => [...value, ...constant(bits), ...vector(172)],
  /** Numbers of 32 bits cut to 16, those of the first operand before those of the second. */
  narrowTo16: (one: Code, other: Code): Code => [...one, ...other, ...vector(133)],
  /** Numbers of 16 bits cut to bytes from 0 to 255. */
  narrowToBytes: (one: Code, other: Code): Code => [...one, ...other, ...vector(102)],
} as const;

/** A function without a result; its parameters are numbers. */
export interface FunctionCode {
  name: string;
  parameters: number;
  code: Code;
}

/** Defines a function by the names of its parameters and variables: numbers of 32 bits, and vectors of 16 bytes. */
export function define<Parameter extends string, Number extends string, Vector extends string>(
  name: string,
  names: { parameters: readonly Parameter[]; numbers: readonly Number[]; vectors: readonly Vector[] },
  body: (variables: Variables<Parameter | Number | Vector>) => readonly Code[],
): FunctionCode {
  const { parameters, numbers, vectors } = names;
  const locals = list([
    [...unsigned(numbers.length), i32],
    [...unsigned(vectors.length), v128],
  ]);
  const code = body(variablesOf([...parameters, ...numbers, ...vectors]));
  return { name, parameters: parameters.length, code: sized([...locals, ...code.flat(), 0x0b]) };
}

/** A module that exports these functions, and works in the memory `host.memory`. */
export function assemble(functions: readonly FunctionCode[]): Uint8Array {
  const types = functions.map(({ parameters }) => [0x60, ...list(new Array<Code>(parameters).fill([i32])), 0]);
  const sections: readonly [id: number, content: Code][] = [
    [1, list(types)],
    [2, list([[...text('host'), ...text('memory'), 2, 0, 1]])],
    [3, list(functions.map((_, at) => [at]))],
    [7, list(functions.map(({ name }, at) => [...text(name), 0, at]))],
    [10, list(functions.map(({ code }) => code))],
  ];
  const magic = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  return Uint8Array.from([...magic, ...sections.flatMap(([id, content]) => [id, ...sized(content)])]);
}

function list(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function sized(content: Code): Code {
  return [...unsigned(content.length), ...content];
}

function text(value: string): Code {
  return sized([...Buffer.from(value)]);
}

function vector(operation: number): Code {
  return [0xfd, ...unsigned(operation)];
}

/** Seven bits a byte, the lowest first; the highest bit says that more follow. */
function unsigned(value: number): Code {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}

function signed(value: number): Code {
  return value >= -64 && value < 64 ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)];
}
