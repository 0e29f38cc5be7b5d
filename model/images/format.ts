import type { ImageFormat } from '../../contracts/datasets/datasets.js';

interface Signature {
  name: string;
  /** Byte offset and the bytes there, as Latin-1 text. */
  marks: readonly (readonly [offset: number, text: string])[];
}

const accepted: readonly (Signature & { format: ImageFormat })[] = [
  { format: 'jpeg', name: 'JPEG image', marks: [[0, '\xff\xd8\xff']] },
  { format: 'png', name: 'PNG image', marks: [[0, '\x89PNG\r\n\x1a\n']] },
  {
    format: 'webp',
    name: 'WebP image',
    marks: [
      [0, 'RIFF'],
      [8, 'WEBP'],
    ],
  },
];

const refused: readonly Signature[] = [
  { name: 'GIF image', marks: [[0, 'GIF8']] },
  { name: 'BMP image', marks: [[0, 'BM']] },
  { name: 'TIFF image', marks: [[0, 'II*\0']] },
  { name: 'TIFF image', marks: [[0, 'MM\0*']] },
  { name: 'HEIC image', marks: [[4, 'ftyphei']] },
  { name: 'HEIC image', marks: [[4, 'ftyphev']] },
  { name: 'HEIC image', marks: [[4, 'ftypmif1']] },
  { name: 'AVIF image', marks: [[4, 'ftypavi']] },
  { name: 'MP4 or QuickTime video', marks: [[4, 'ftyp']] },
  { name: 'JPEG 2000 image', marks: [[4, 'jP  ']] },
  { name: 'JPEG XL image', marks: [[0, '\xff\x0a']] },
  { name: 'JPEG XL image', marks: [[4, 'JXL ']] },
  { name: 'Photoshop image', marks: [[0, '8BPS']] },
  { name: 'icon', marks: [[0, '\0\0\x01\0']] },
  { name: 'PDF document', marks: [[0, '%PDF']] },
  { name: 'ZIP archive', marks: [[0, 'PK\x03\x04']] },
  { name: 'gzip archive', marks: [[0, '\x1f\x8b']] },
  { name: 'Windows program', marks: [[0, 'MZ']] },
  { name: 'Linux program', marks: [[0, '\x7fELF']] },
];

/** Bytes at the start of a file that are enough to detect its type. */
export const headBytes = 512;

/** The format of an image by its first bytes, or null when it is not accepted. File names are ignored. */
export function sniffFormat(head: Uint8Array): ImageFormat | null {
  return accepted.find((signature) => matches(head, signature))?.format ?? null;
}

/** Name of a file's type by its first bytes, for messages: `GIF image`, `PDF document`, `text`, `unknown data`. */
export function nameOfType(head: Uint8Array): string {
  if (head.length === 0) return 'empty file';
  const signature = [...accepted, ...refused].find((candidate) => matches(head, candidate));
  if (signature !== undefined) return signature.name;
  return nameOfText(head.subarray(0, headBytes)) ?? 'unknown data';
}

function matches(head: Uint8Array, signature: Signature): boolean {
  return signature.marks.every(([offset, text]) => {
    const mark = Buffer.from(text, 'latin1');
    return mark.equals(head.subarray(offset, offset + mark.length));
  });
}

function nameOfText(head: Uint8Array): string | null {
  // With `stream`, a character that the end of `head` cuts in two is not an error.
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true });
  } catch {
    return null;
  }
  if (/[^\P{Cc}\t\n\f\r]/u.test(text)) return null;
  if (/<svg[\s>]/i.test(text)) return 'SVG image';
  return /^\s*<(!doctype html|html)/i.test(text) ? 'HTML page' : 'text';
}
