import { Transform, type TransformCallback } from 'node:stream';
import { messageOf } from '../../../contracts/errors.js';
import { boundaryOf, isFilePart, malformedForm, mostHeaderBytes, parsePartHeaders } from './part-headers.js';

const headerEnd = Buffer.from('\r\n\r\n');
const endMark = '--';

/**
 * Passes a form on with the headers of its parts in one spelling, because the streaming parser does not read all legal
 * ones. A part in the field of the files gets a file name if it has none, by which that parser tells files from fields.
 */
export class PartHeaderWriter extends Transform {
  readonly #delimiter: Buffer;
  #state: 'content' | 'headers' | 'over' = 'content';
  #isBeforeFirst = true;
  // The first delimiter may be at the very start, without a line end before it.
  #rest: Buffer = Buffer.from('\r\n');

  constructor(
    contentType: string,
    private readonly fileField: string,
  ) {
    super();
    this.#delimiter = Buffer.from(`\r\n--${boundaryOf(contentType)}`, 'latin1');
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    try {
      while (this.#step());
      done();
    } catch (error) {
      done(error instanceof Error ? error : new Error(messageOf(error)));
    }
  }

  override _flush(done: TransformCallback): void {
    if (!this.#isBeforeFirst) this.push(this.#rest);
    done();
  }

  /** Handles what is complete. Returns whether there may be more. */
  #step(): boolean {
    if (this.#state === 'headers') return this.#passHeaders();
    if (this.#state === 'content') return this.#passContent();
    this.#pass(this.#rest.length);
    return false;
  }

  /** Content up to the delimiter; without one all but its possible beginning. */
  #passContent(): boolean {
    const end = this.#rest.indexOf(this.#delimiter);
    this.#pass(end >= 0 ? end : Math.max(0, this.#rest.length - this.#delimiter.length + 1));
    if (end < 0) return false;
    this.#isBeforeFirst = false;
    this.#state = 'headers';
    return true;
  }

  #passHeaders(): boolean {
    const start = this.#delimiter.length;
    if (this.#rest.length < start + endMark.length) return false;
    if (this.#rest.toString('latin1', start, start + endMark.length) === endMark) {
      this.#state = 'over';
      return true;
    }
    const end = this.#rest.subarray(0, start + mostHeaderBytes).indexOf(headerEnd, start);
    if (end < 0 && this.#rest.length < start + mostHeaderBytes) return false;
    if (end < 0) throw malformedForm('the headers of a part do not end');
    const contentAt = end + headerEnd.length;
    // The next delimiter alone has more bytes.
    if (this.#rest.length < contentAt + typeBytes) return false;
    const text = this.#rest.toString('utf8', start, end);
    const type = this.#rest.toString('latin1', contentAt, contentAt + typeBytes);
    this.push(this.#delimiter);
    this.push(`\r\n${this.#respelled(text.replace(/^[ \t]*\r\n/, ''), type)}\r\n\r\n`);
    this.#rest = this.#rest.subarray(contentAt);
    this.#state = 'content';
    return true;
  }

  #respelled(text: string, type: string): string {
    const headers = parsePartHeaders(text);
    if (headers === null) return text;
    const isFile = isFilePart(headers) || (headers.name === this.fileField && isOfFile(type, headers.contentType));
    const file = isFile ? `; filename="${escaped(headers.filename ?? 'file')}"\r\nContent-Type: ${fileType}` : '';
    return `Content-Disposition: form-data; name="${escaped(headers.name)}"${file}`;
  }

  #pass(bytes: number): void {
    if (bytes > 0 && !this.#isBeforeFirst) this.push(this.#rest.subarray(0, bytes));
    this.#rest = this.#rest.subarray(bytes);
  }
}

/** The first bytes of an image or a model; the content of a part without name and type may be text as well. */
const typeBytes = 4;

function isOfFile(firstBytes: string, contentType: string): boolean {
  return contentType !== '' || /^(RIFF|[^\x20-\x7e\r\n\t])/.test(firstBytes);
}

const fileType = 'application/octet-stream';

function escaped(text: string): string {
  return text.replaceAll(/[\r\n]/g, ' ').replaceAll(/(["\\])/g, '\\$1');
}
