import { PerennialError } from '../../../contracts/errors.js';

/** Maximum bytes of the headers of a part. */
export const mostHeaderBytes = 8_192;

/** What the headers of a part of a form say. */
export interface PartHeaders {
  name: string;
  /** Null without one, as plain fields and some clients' files have. */
  filename: string | null;
  /** In lower case, without parameters; empty if there is none. */
  contentType: string;
}

/**
 * Reads the headers of a part of multipart/form-data in every legal spelling: folded, in any case, with blanks, with
 * quoted and extended (RFC 5987) file names. Null for a part that is no field of a form.
 */
export function parsePartHeaders(text: string): PartHeaders | null {
  const lines = text.replaceAll(/\r\n[ \t]+/g, ' ').split('\r\n');
  const headers = new Map(lines.map((line) => splitHeader(line)));
  const [, kind = '', parameters = ''] = /^\s*([\w-]+)\s*(.*)$/s.exec(headers.get('content-disposition') ?? '') ?? [];
  if (kind.toLowerCase() !== 'form-data') return null;
  const values = parametersOf(parameters);
  const name = extended(values.get('name*')) ?? values.get('name');
  if (name === undefined) return null;
  const filename = extended(values.get('filename*')) ?? values.get('filename') ?? null;
  const [contentType = ''] = (headers.get('content-type') ?? '').split(';');
  return { name, filename, contentType: contentType.trim().toLowerCase() };
}

/** Whether a part holds a file: it has a file name, or a type that no plain field has. */
export function isFilePart({ filename, contentType }: PartHeaders): boolean {
  return (
    filename !== null || !/^(|text\/plain|application\/json|application\/x-www-form-urlencoded)$/.test(contentType)
  );
}

function splitHeader(line: string): [string, string] {
  const colon = line.indexOf(':');
  return colon < 0 ? ['', ''] : [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1)];
}

/** Read one after another, because a quoted file name may look like a parameter. */
function parametersOf(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const [, name = '', quoted, plain = ''] of text.matchAll(parameter)) {
    values.set(name.toLowerCase(), quoted === undefined ? plain : quoted.replaceAll(/\\(["\\])/g, '$1'));
  }
  return values;
}

const parameter = /;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))/gs;

/** A value in RFC 5987 encoding, `UTF-8'en'a%20b`, which takes precedence over the plain one. Some clients quote it. */
function extended(value: string | undefined): string | undefined {
  const [, charset = '', encoded] = /^([\w-]*)'[^']*'(.*)$/s.exec(value ?? '') ?? [];
  if (encoded === undefined) return value;
  try {
    if (/^(iso-8859-1|latin1)$/i.test(charset)) return unescapeLatin1(encoded);
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

function unescapeLatin1(text: string): string {
  return text.replaceAll(/%([0-9a-f]{2})/gi, (_match, digits: string) => String.fromCharCode(parseInt(digits, 16)));
}

export function malformedForm(what: string): PerennialError {
  return new PerennialError('bad_request', `The form cannot be read: ${what}. Check the multipart boundary.`);
}

/** The boundary of a multipart content type. Throws `bad_request`. */
export function boundaryOf(contentType: string): string {
  const match = /;\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType);
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined) throw malformedForm('its content type names no boundary');
  return boundary;
}
