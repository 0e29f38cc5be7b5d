import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';

export interface RawAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Posts with Node's raw client, which sends its whole body whatever the server says meanwhile; chunked without a Content-Length. */
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

/** A part of a form with that boundary. */
export function formPart(name: string, value: Uint8Array | string, filename?: string): Uint8Array {
  const file = filename === undefined ? '' : `; filename="${filename}"`;
  const head = `--b\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.from(value), Buffer.from('\r\n')]);
}

export const formEnd = '--b--\r\n';
