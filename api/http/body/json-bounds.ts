import { invalidRequest } from '../problems.js';

export interface JsonBounds {
  /** Maximum nesting depth of lists and objects. */
  depth: number;
  /** Maximum number of lists and objects. */
  containers: number;
  /** Maximum number of further values in them. */
  values: number;
}

/** More distinct keys than any request has. A short key takes thirty times its text in memory. */
const mostKeys = 10_000;

/** Bounds of JSON without images: a thousand labels, a few hundred settings. */
export const plainBounds: JsonBounds = { depth: 32, containers: 5_000, values: 20_000 };

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const [openList, openObject, closeList, closeObject] = [0x5b, 0x7b, 0x5d, 0x7d];

/**
 * Parses untrusted UTF-8 JSON within bounds: a list of two bytes takes fifty in memory, so a body of brackets alone could
 * fill the heap. Lists, objects and keys are counted before parsing.
 * @throws PerennialError bad_request
 */
export function parseBoundedJson(bytes: Uint8Array, bounds: JsonBounds): unknown {
  checkBounds(bytes, bounds);
  try {
    const parsed: unknown = JSON.parse(decoder.decode(bytes));
    return parsed;
  } catch {
    throw invalidRequest([{ pointer: '#', detail: faultOfJson(bytes) }]);
  }
}

/** Why a text is no JSON. Some programs, such as Python's `json`, write numbers that JSON does not have. */
function faultOfJson(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.subarray(0, 1_000_000)).toString('utf8');
  const [, name, value] = /"([^"\\]{1,100})"\s*:\s*(NaN|-?Infinity)\b/.exec(text) ?? [];
  if (name === undefined || value === undefined) return 'not valid JSON in UTF-8; check it with a JSON parser';
  return `\`${name}\` is ${value}, which JSON does not have. Send a number, or leave it out.`;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function checkBounds(bytes: Uint8Array, bounds: JsonBounds): void {
  let [depth, containers, values, keys] = [0, 0, 0, 0];
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) at = endOfString(bytes, at);
    else if (byte === comma) {
      if (++values > bounds.values) throw beyond(`more than ${bounds.values} values`);
    } else if (byte === colon) {
      if (++keys > mostKeys) throw beyond(`more than ${mostKeys} keys`);
    } else if (byte < 0x5b) continue;
    else if (byte === openList || byte === openObject) {
      containers++;
      if (++depth > bounds.depth) throw beyond(`nested more than ${bounds.depth} deep`);
      if (containers > bounds.containers) throw beyond(`more than ${bounds.containers} lists and objects`);
    } else if (byte === closeList || byte === closeObject) depth--;
  }
}

/** End of the string that begins at `start`: a quote after an even number of backslashes. */
function endOfString(bytes: Uint8Array, start: number): number {
  let end = start;
  do {
    end = bytes.indexOf(quote, end + 1);
    if (end === -1) return bytes.length;
  } while (isEscaped(bytes, end));
  return end;
}

function isEscaped(bytes: Uint8Array, at: number): boolean {
  let before = at - 1;
  while (bytes[before] === backslash) before--;
  return (at - before) % 2 === 0;
}

function beyond(detail: string): Error {
  return invalidRequest([{ pointer: '#', detail }]);
}
