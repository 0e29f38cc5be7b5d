import { invalidRequest } from '../problems.js';

export interface JsonBounds {
  /** How many lists and objects may lie inside each other. */
  depth: number;
  /** How many lists and objects there may be. */
  containers: number;
  /** How many values may follow another one in them; any number unless given. */
  values?: number;
}

/** More keys than any request of ours has. A short key takes thirty times its text: each is kept once and found by a table. */
const mostKeys = 10_000;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openers = new Set([0x5b, 0x7b]);
const closers = new Set([0x5d, 0x7d]);

/**
 * Parses JSON in UTF-8 of which nobody knows how large it becomes: a list of a byte or two takes fifty in memory, so
 * that a body of nothing but brackets would take the whole heap. They are counted before anything is parsed.
 * @throws PerennialError bad_request
 */
export function parseBoundedJson(bytes: Uint8Array, bounds: JsonBounds): unknown {
  checkBounds(bytes, bounds);
  try {
    const parsed: unknown = JSON.parse(decoder.decode(bytes));
    return parsed;
  } catch {
    throw invalidRequest([{ pointer: '#', detail: 'not valid JSON in UTF-8; check it with a JSON parser' }]);
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function checkBounds(bytes: Uint8Array, bounds: JsonBounds): void {
  const mostValues = bounds.values ?? Infinity;
  let [depth, containers, values, keys] = [0, 0, 0, 0];
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) at = endOfString(bytes, at);
    else if (byte === comma) {
      if (++values > mostValues) throw beyond(`more than ${mostValues} values`);
    } else if (byte === colon) {
      if (++keys > mostKeys) throw beyond(`more than ${mostKeys} keys`);
    } else if (byte < 0x5b) continue;
    else if (openers.has(byte)) {
      containers++;
      if (++depth > bounds.depth) throw beyond(`nested more than ${bounds.depth} deep`);
      if (containers > bounds.containers) throw beyond(`more than ${bounds.containers} lists and objects`);
    } else if (closers.has(byte)) depth--;
  }
}

/** Where the string that begins at `start` ends: a quote after an even number of backslashes. */
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
