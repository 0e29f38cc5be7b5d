import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';

export interface RawAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Posts with Node's raw client, which sends the whole body even after an early response; chunked without a length. */
export function postRaw(
  url: string,
  headers: Record<string, string>,
  chunks: Iterable<Uint8Array | string>,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method: 'POST', headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts).toString() });
      });
    });
    request.on('error', reject);
    for (const chunk of chunks) request.write(chunk);
    request.end();
  });
}

export const multipartHeaders = { 'content-type': 'multipart/form-data; boundary=b' };

/** A part of a multipart form with that boundary. */
export function formPart(name: string, value: Uint8Array | string, filename?: string): Uint8Array {
  const file = filename === undefined ? '' : `; filename="${filename}"`;
  const head = `--b\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.from(value), Buffer.from('\r\n')]);
}

export const formEnd = '--b--\r\n';

/** Everything that a server sends in response to exactly these bytes, until it closes the connection or `isEnough`. */
export async function speakRaw(
  port: number,
  bytes: string,
  {
    andLeave = false,
    isEnough = (): boolean => false,
  }: { andLeave?: boolean; isEnough?: (heard: string) => boolean } = {},
): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let heard = '';
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
    if (isEnough(heard)) socket.destroy();
  });
  const closed = new Promise<void>((resolve, reject) => {
    socket.once('close', () => resolve()).once('error', reject);
  });
  socket.write(bytes, 'latin1');
  if (andLeave) socket.end();
  await closed;
  return heard;
}

/** The responses in the received text; each has a Content-Length. */
export function answersIn(heard: string): { status: number; headers: Headers; body: string }[] {
  const answers = [];
  for (let rest = heard; rest !== '';) {
    const end = rest.indexOf('\r\n\r\n');
    const [first = '', ...lines] = rest.slice(0, end).split('\r\n');
    const headers = new Headers(lines.map((line) => [line.split(': ')[0] ?? '', line.split(': ')[1] ?? '']));
    const bodyEnd = end + 4 + Number(headers.get('content-length') ?? 0);
    if (end < 0 || bodyEnd > rest.length) throw new Error(`Half an answer was heard: ${rest.slice(0, 500)}`);
    answers.push({ status: Number(first.split(' ')[1]), headers, body: rest.slice(end + 4, bodyEnd) });
    rest = rest.slice(bodyEnd);
  }
  return answers;
}
