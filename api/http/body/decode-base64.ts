import { invalidRequest } from '../problems.js';

const dataUrl = /^data:[\w/+.-]{0,100};base64,/;
const alphabet = /^[A-Za-z0-9+/_-]*={0,2}$/;

/**
 * The bytes of a picture that was put into JSON as base64, of the usual or the URL's alphabet, with or without line
 * breaks, or as a `data:` URL. Throws `bad_request` that points at it when it is none: Node would skip what it cannot read.
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
