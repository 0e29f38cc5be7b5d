import type { PerennialError } from '../../../contracts/errors.js';
import { invalidRequest } from '../problems.js';

/** More than any real list of parameters. A longer head is no data URL. */
const mostHeadCharacters = 2_000;
const alphabet = /^[A-Za-z0-9+/]*$/;

/**
 * Decodes an image in JSON: base64 in either alphabet, with or without padding and line breaks, or a `data:` URL as in
 * RFC 2397, with parameters, in base64 or percent-encoded. Throws `bad_request` with a pointer for other text, of which
 * Node would skip the invalid characters.
 */
export function decodeBase64(text: string, pointer: string): Buffer {
  const start = text.search(/\S/);
  if (!/^data:/i.test(text.slice(start, start + 5))) return decodePlain(text, pointer);
  const comma = text.slice(start, start + mostHeadCharacters).indexOf(',') + start;
  if (comma < start) throw refuse(pointer, 'this data URL has no comma before its data');
  const head = text.slice(start + 5, comma).replaceAll(/\s/g, '');
  const data = text.slice(comma + 1);
  if (/;base64$/i.test(head)) return decodePlain(data.includes('%') ? decodePercents(data, pointer) : data, pointer);
  if (/(^|;)base64(;|$)/i.test(head)) throw refuse(pointer, '`base64` must be the last parameter of a data URL');
  return filled(Buffer.from(decodePercents(data.replaceAll(/\s/g, ''), pointer), 'latin1'), pointer);
}

function decodePlain(text: string, pointer: string): Buffer {
  return decodeClean(text) ?? decodeCarefully(text, pointer);
}

/**
 * Decodes text without blanks or faults; null for any other. Node skips characters that are no digits, so that fewer bytes
 * come out than the digits hold. To look at each character by expressions takes fifteen times as long as to decode it.
 */
function decodeClean(text: string): Buffer | null {
  const digits = text.length - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);
  if (digits === 0 || digits % 4 === 1) return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === Math.floor((digits * 3) / 4) ? bytes : null;
}

function decodeCarefully(text: string, pointer: string): Buffer {
  const joined = /\s/.test(text) ? text.replaceAll(/\s+/g, '') : text;
  const digits = /[-_]/.test(joined) ? joined.replaceAll('-', '+').replaceAll('_', '/') : joined;
  const [payload = ''] = /=/.test(digits) ? digits.split(/={1,2}$/, 1) : [digits];
  if (!alphabet.test(payload)) throw refuse(pointer, strange(payload));
  // One digit has six bits: less than a byte, so characters are missing.
  if (payload.length % 4 === 1) throw refuse(pointer, 'this text is cut off: its length is no length of base64');
  return filled(Buffer.from(payload, 'base64'), pointer);
}

function strange(payload: string): string {
  const at = payload.search(/[^A-Za-z0-9+/]/);
  const character = JSON.stringify(payload.charAt(at));
  return `this text holds other characters, the first of them ${character} at ${at + 1}`;
}

/** The bytes of percent-encoded text as characters, of which each stands for a byte. */
function decodePercents(text: string, pointer: string): string {
  if (/%(?![0-9a-f]{2})/i.test(text)) throw refuse(pointer, 'this data URL has an incomplete % sequence');
  return text.replaceAll(/%([0-9a-f]{2})/gi, (_match, digits: string) => String.fromCharCode(parseInt(digits, 16)));
}

function filled(bytes: Buffer, pointer: string): Buffer {
  if (bytes.length > 0) return bytes;
  throw refuse(pointer, 'got no text');
}

function refuse(pointer: string, why: string): PerennialError {
  return invalidRequest([{ pointer, detail: `expected an image file as base64 or as a data URL; ${why}` }]);
}
