import { fileElsewhere, noFileIn } from './form-fields.js';
import { boundaryOf, isFilePart, malformedForm, mostHeaderBytes, parsePartHeaders } from './part-headers.js';

/** A part of a form: a file or a plain field. */
export interface FormPart {
  name: string;
  filename: string | null;
  /** Whether its headers say that it is a file. */
  isFile: boolean;
  bytes: Buffer;
}

export interface ParsedForm {
  parts: FormPart[];
  /** Whether parts were omitted because the form has more than the limit. */
  isCut: boolean;
}

const headerEnd = Buffer.from('\r\n\r\n');

/**
 * Splits a multipart/form-data body in memory; the parts are views of it. For an image of a few kilobytes this takes a
 * quarter of the time of a streaming parser, which is for files that do not fit.
 * @throws PerennialError bad_request for a form without boundary, or whose parts do not end
 */
export function parseForm(body: Buffer, contentType: string, mostParts: number): ParsedForm {
  const delimiter = Buffer.from(`\r\n--${boundaryOf(contentType)}`, 'latin1');
  // The first delimiter may be at the very start, without a line end before it.
  const first = delimiter.subarray(2);
  const startsAtOnce = body.subarray(0, first.length).equals(first);
  let at = startsAtOnce ? first.length : body.indexOf(delimiter) + delimiter.length;
  if (!startsAtOnce && at < delimiter.length)
    throw malformedForm('it does not hold the boundary its content type names');
  const parts: FormPart[] = [];
  for (let seen = 0; !endsForm(body, at); seen++) {
    if (seen === mostParts) return { parts, isCut: true };
    const headersAt = afterLine(body, at);
    const end = body.indexOf(delimiter, headersAt);
    if (end < 0) throw malformedForm('its last part does not end');
    const part = parsePart(body.subarray(headersAt, end));
    if (part !== null) parts.push(part);
    at = end + delimiter.length;
  }
  return { parts, isCut: false };
}

function endsForm(body: Buffer, at: number): boolean {
  return body[at] === dash && body[at + 1] === dash;
}

/** End of a boundary line, which may have trailing blanks. */
function afterLine(body: Buffer, at: number): number {
  let end = at;
  while (body[end] === space || body[end] === tab) end += 1;
  if (body[end] !== carriageReturn || body[end + 1] !== lineFeed) {
    if (body[end] === lineFeed) throw malformedForm('its lines end with LF alone; they must end with CR LF');
    throw malformedForm(
      end >= body.length ? 'it ends before its last boundary' : 'a boundary is followed by other text',
    );
  }
  return end + 2;
}

function parsePart(part: Buffer): FormPart | null {
  const end = part.subarray(0, mostHeaderBytes).indexOf(headerEnd);
  if (end < 0) throw malformedForm('the headers of a part do not end');
  const headers = parsePartHeaders(part.toString('utf8', 0, end));
  if (headers === null) return null;
  const { name, filename } = headers;
  return { name, filename, isFile: isFilePart(headers), bytes: part.subarray(end + headerEnd.length) };
}

const [dash, space, tab, carriageReturn, lineFeed] = [0x2d, 0x20, 0x09, 0x0d, 0x0a];

/**
 * The files of a form, which belong into the field `field`: a part of this name is a file in any spelling. Throws
 * `bad_request` for files in other fields, and `no_file`, with the names of the fields that were sent.
 */
export function filesOf({ parts }: ParsedForm, field: string): FormPart[] {
  const files = parts.filter(({ name, isFile }) => isFile || name === field);
  const stray = files.find(({ name }) => name !== field);
  if (stray !== undefined) throw fileElsewhere(stray.name, field);
  if (files.length === 0)
    throw noFileIn(
      field,
      parts.map(({ name }) => name),
    );
  return files;
}
