import { invalidRequest } from '../problems.js';

const dataUrl = /^data:[\w/+.-]{0,100};base64,/;
const alphabet = /^[A-Za-z0-9+/_-]*={0,2}$/;

/**
 * Decodes an image from base64 or base64url in JSON, with or without line breaks, or from a `data:` URL. Throws
 * `bad_request` with a pointer for invalid text, of which Node would skip the invalid characters.
 */
export function decodeBase64(text: string, pointer: string): Buffer {
  const payload = text.slice(dataUrl.exec(text.slice(0, 128))?.[0].length ?? 0);
  const joined = /\s/.test(payload) ? payload.replaceAll(/\s+/g, '') : payload;
  if (joined === '') throw invalidRequest([{ pointer, detail: 'expected an image file as base64, got no text' }]);
  if (!alphabet.test(joined)) {
    throw invalidRequest([{ pointer, detail: 'expected an image file as base64; this text holds other characters' }]);
  }
  return Buffer.from(joined, 'base64');
}
