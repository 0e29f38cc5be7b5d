import { decodeBase64 } from '../../http/body/decode-base64.js';
import { inputPointer, invalidTensor } from './tensor-fault.js';

const lengthBytes = 4;

/**
 * Image files of a binary BYTES tensor: per file a length of 4 bytes, then the bytes. Returns views.
 * @throws PerennialError invalid_tensor if lengths and bytes do not match
 */
export function readFileElements(binary: Buffer, count: number, isBase64: boolean): Buffer[] {
  const files: Buffer[] = [];
  let offset = 0;
  for (let index = 0; index < count; index++) {
    const left = binary.length - offset - lengthBytes;
    const length = left < 0 ? Number.NaN : binary.readUInt32LE(offset);
    if (!(length <= left)) {
      throw invalidTensor('', `element ${index} of ${count} ends behind the ${binary.length} bytes of the tensor`);
    }
    const file = binary.subarray(offset + lengthBytes, offset + lengthBytes + length);
    files.push(isBase64 ? decodeBase64(file.toString('latin1'), inputPointer) : file);
    offset += lengthBytes + length;
  }
  if (offset !== binary.length) {
    throw invalidTensor('', `${count} elements end after ${offset} of ${binary.length} bytes`);
  }
  return files;
}

/**
 * Image files of a JSON BYTES tensor: a list of base64 strings, nested or flat.
 * @throws PerennialError invalid_tensor, bad_request
 */
export function readFileTexts(data: unknown, count: number): Buffer[] {
  const texts: unknown[] = Array.isArray(data) ? data.flat(1) : [];
  if (texts.length !== count) throw invalidTensor('data', `expected ${count} texts in base64, got ${texts.length}`);
  return texts.map((text, index) => {
    if (typeof text !== 'string') throw invalidTensor(`data/${index}`, 'expected an image file as text in base64');
    return decodeBase64(text, `${inputPointer}/data/${index}`);
  });
}
