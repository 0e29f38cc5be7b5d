import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { filesOf, parseForm } from '../../../../../api/http/body/parse-form.js';
import { PartHeaderWriter } from '../../../../../api/http/body/part-header-writer.js';
import { fileSpellings, formWithHeaders, spelledFile } from '../../../../support/form-spellings.js';

const contentType = 'multipart/form-data; boundary="BB"';
const parsed = (form: Buffer): ReturnType<typeof parseForm> => parseForm(form, contentType, 10);

/** A form as it leaves the writer when it arrives in pieces of so many bytes. */
function respelled(form: string, pieceBytes: number): Promise<Buffer> {
  const bytes = Buffer.from(form);
  const pieces = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, piece) =>
    bytes.subarray(piece * pieceBytes, (piece + 1) * pieceBytes),
  );
  return buffer(Readable.from(pieces).pipe(new PartHeaderWriter(contentType, 'files')));
}

describe('a part with a file', () => {
  it.each(fileSpellings)('is found with %s', (_name, headers, filename) => {
    const files = filesOf(parsed(Buffer.from(formWithHeaders(headers, 'file'))), 'file');
    expect(files.map((file) => [file.name, file.filename, file.bytes.toString()])).toEqual([
      ['file', filename, spelledFile],
    ]);
  });

  it('in another field is refused with the field to use', () => {
    const form = formWithHeaders('Content-Disposition: form-data; name="FIELD"; filename="a.jpg"', 'image');
    expect(() => filesOf(parsed(Buffer.from(form)), 'file')).toThrow(
      'a file in the field “image”. Send it in the field “file”.',
    );
    const typed = formWithHeaders('Content-Disposition: form-data; name=FIELD\r\nContent-Type: image/png', 'photo');
    expect(() => filesOf(parsed(Buffer.from(typed)), 'file')).toThrow('“photo”. Send it in the field “file”.');
    const text = formWithHeaders('Content-Disposition: form-data; name="FIELD"', 'picture');
    expect(() => filesOf(parsed(Buffer.from(text)), 'file')).toThrow(
      'no file in the field “file”; it has only “picture”',
    );
  });

  it('in a form whose lines end with LF alone is refused by name', () => {
    const form = formWithHeaders('Content-Disposition: form-data; name="FIELD"', 'file').replaceAll('\r\n', '\n');
    expect(() => parsed(Buffer.from(form))).toThrow('end with LF alone');
  });
});

describe('PartHeaderWriter', () => {
  it.each(fileSpellings)('gives the headers one spelling: %s', async (_name, headers, filename) => {
    const plain = `Content-Disposition: form-data; name="label"`;
    const form = formWithHeaders(plain, '').replace('--BB--\r\n', formWithHeaders(headers, 'files'));
    for (const pieceBytes of [1, 2, 7, 64, 100_000]) {
      const { parts } = parsed(await respelled(form, pieceBytes));
      expect(parts.map((part) => [part.name, part.filename, part.isFile, part.bytes.toString()])).toEqual([
        ['label', null, false, spelledFile],
        ['files', filename ?? 'file', true, spelledFile],
      ]);
    }
  });

  it('passes on what follows the end, an unfinished form, and empty parts', async () => {
    const form = formWithHeaders('Content-Disposition: form-data; name="a"', '').replace(
      'RIFF\r\n--B\r\n--BB',
      '\r\n--BB',
    );
    expect((await respelled(`${form}epilogue`, 3)).toString()).toBe(`\r\n${form}epilogue`);
    expect((await respelled(form.slice(0, -6), 5)).toString()).toBe(`\r\n${form.slice(0, -6)}`);
  });
});
