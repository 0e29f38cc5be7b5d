import fc from 'fast-check';
import { parseForm, type FormPart } from '../../../../../api/http/body/parse-form.js';
import { errorCodeOf } from '../../../../../contracts/errors.js';

const contentType = 'multipart/form-data; boundary=b';

function form(...lines: string[]): Buffer {
  return Buffer.from(lines.join('\r\n'));
}

function failureOf(body: Buffer, type = contentType): string {
  try {
    parseForm(body, type, 10);
  } catch (error) {
    return errorCodeOf(error);
  }
  return 'it was accepted';
}

/** Contents that tend to break parsers: line ends, dashes and the boundary itself inside a file. */
const awkward = fc.constantFrom('\r\n', '--', '\r\n--', '\r', '\n', 'boundary', '\r\n--formdata', ';', '"', '\\');
const content = fc
  .array(
    fc.oneof(
      awkward.map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 40 }),
    ),
    { maxLength: 12 },
  )
  .map((pieces) => Buffer.concat(pieces));

describe('parseForm', () => {
  it('parses forms of fetch with any file contents', async () => {
    const part = fc.record({
      name: fc.stringMatching(/^[\w ü"]{1,12}$/),
      filename: fc.stringMatching(/^[\w. é"]{1,20}$/),
      content,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 5 }), async (parts) => {
        const sent = new FormData();
        for (const { name, filename, content: bytes } of parts)
          sent.append(name, new Blob([new Uint8Array(bytes)]), filename);
        const response = new Response(sent);
        const type = response.headers.get('content-type') ?? '';
        const parsed = parseForm(Buffer.from(await response.arrayBuffer()), type, 10);
        const plain = ({ name, filename, bytes }: FormPart): unknown[] => [name, filename, bytes.toString('hex')];
        const escaped = (text: string): string => text.replaceAll('"', '%22');
        expect(parsed.parts.map(plain)).toEqual(
          parts.map((each) => [escaped(each.name), escaped(each.filename), each.content.toString('hex')]),
        );
      }),
      { numRuns: 100 },
    );
  });

  it('throws only client errors', () => {
    fc.assert(
      fc.property(content, (body) => {
        const framed = Buffer.concat([Buffer.from('--b\r\nContent-Disposition: form-data; name="a"\r\n'), body]);
        expect(['bad_request', 'it was accepted']).toContain(failureOf(framed));
      }),
    );
  });

  it('takes a preamble, blanks behind a boundary, an epilogue and fields without a file', () => {
    const body = form(
      'A preamble.',
      '--b  ',
      'content-disposition: form-data; filename=plain.jpg; name=file',
      'Content-Type: image/jpeg',
      '',
      'one',
      '--b',
      'Content-Disposition: form-data; name="note"',
      '',
      '',
      '--b--',
      'An epilogue.',
    );
    const { parts, isCut } = parseForm(body, 'multipart/form-data; charset=x; boundary="b"', 10);
    const shown = parts.map(({ name, filename, bytes }) => ({ name, filename, text: bytes.toString() }));
    expect(isCut).toBe(false);
    expect(shown).toEqual([
      { name: 'file', filename: 'plain.jpg', text: 'one' },
      { name: 'note', filename: null, text: '' },
    ]);
  });

  it.each([
    [`form-data; name="file"; filename="a \\"b\\" \\\\.jpg"`, 'a "b" \\.jpg'],
    [`form-data; name="file"; filename="x"; filename*=UTF-8''%C3%BCber.jpg`, 'über.jpg'],
    [`form-data; name="file"; filename*=UTF-8''%zz`, '%zz'],
    [`form-data; filename=""; name="file"`, ''],
  ])('reads the file name of %s', (disposition, filename) => {
    const body = form('--b', `Content-Disposition: ${disposition}`, '', 'x', '--b--');
    expect(parseForm(body, contentType, 10).parts).toMatchObject([{ name: 'file', filename }]);
  });

  it('stops after the maximum number of parts', () => {
    const part = ['--b', 'Content-Disposition: form-data; name="a"', '', 'x'];
    const body = form(...Array.from({ length: 11 }, () => part).flat(), '--b--');
    expect(parseForm(body, contentType, 10)).toMatchObject({ isCut: true });
    expect(parseForm(body, contentType, 11)).toMatchObject({ isCut: false });
  });

  it.each([
    ['no boundary in its type', form('--b', '', 'x', '--b--'), 'multipart/form-data'],
    ['another boundary', form('--c', '', 'x', '--c--'), contentType],
    ['no last boundary', form('--b', 'Content-Disposition: form-data; name="a"', '', 'x'), contentType],
    ['an end in its headers', form('--b', 'Content-Disposition: form-data; name="a"', '--b--'), contentType],
    ['text behind a boundary', form('--bc', '', 'x', '--b--'), contentType],
    ['nothing', Buffer.alloc(0), contentType],
    ['a lone boundary', form('--b'), contentType],
  ])('refuses a form with %s', (_name, body, type) => {
    expect(failureOf(body, type)).toBe('bad_request');
  });
});
