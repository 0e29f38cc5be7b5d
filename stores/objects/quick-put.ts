import { createHmac, hash } from 'node:crypto';
import { Agent, request as requestPlain } from 'node:http';
import { Agent as SecureAgent, request as requestSecure } from 'node:https';
import type { Config } from '../../platform/config.js';
import { unanswered } from './connect.js';

/** Connections; further uploads wait for one without a time limit, instead of in the server against theirs. */
const maxSockets = 16;

/** Uploads with as little work as an upload needs. */
export interface QuickPut {
  /**
   * Uploads an object; false when the server did not take it, so that the caller repeats it with the S3 client, which
   * knows what each failure means and which to repeat.
   * @throws PerennialError object_store_unavailable when the server does not answer
   */
  put(key: string, body: Uint8Array, contentType: string): Promise<boolean>;
  close(): void;
}

/**
 * The layers of the S3 client take several times the processor time that the upload of a photograph takes otherwise, and
 * an ingestion uploads each one. Null where the bucket is part of the host name.
 */
export function createQuickPut(config: Config & { S3_ENDPOINT: string }): QuickPut | null {
  if (!config.S3_FORCE_PATH_STYLE) return null;
  const endpoint = new URL(config.S3_ENDPOINT);
  const isSecure = endpoint.protocol === 'https:';
  const connections = { keepAlive: true, maxSockets };
  const agent = isSecure ? new SecureAgent(connections) : new Agent(connections);
  const request = isSecure ? requestSecure : requestPlain;
  const credentials = {
    accessKeyId: config.S3_ACCESS_KEY_ID ?? 'unset',
    secretAccessKey: config.S3_SECRET_ACCESS_KEY ?? 'unset',
    region: config.S3_REGION,
  };
  return {
    put(key, body, contentType) {
      const path = `${endpoint.pathname.replace(/\/$/, '')}/${encodePath(`${config.S3_BUCKET}/${key}`)}`;
      const headers = signPut({ host: endpoint.host, path, body, ...credentials }, new Date());
      return new Promise((resolve, reject) => {
        const sent = request(
          { agent, host: endpoint.hostname, port: endpoint.port, method: 'PUT', path, timeout: config.S3_TIMEOUT_MS },
          (response) => {
            response.resume();
            response.on('end', () => resolve(response.statusCode === 200));
            response.on('error', () => resolve(false));
          },
        );
        for (const [name, value] of Object.entries(headers)) sent.setHeader(name, value);
        sent.setHeader('content-type', contentType);
        sent.setHeader('content-length', body.byteLength);
        sent.on('timeout', () => {
          reject(unanswered());
          sent.destroy();
        });
        sent.on('error', () => resolve(false));
        sent.end(body);
      });
    },
    close: () => agent.destroy(),
  };
}

interface PutToSign {
  host: string;
  /** Encoded. */
  path: string;
  body: Uint8Array;
  accessKeyId: string;
  secretAccessKey: string;
  region: string;
}

/** The headers of AWS Signature Version 4 for a PUT without a query. */
export function signPut(
  { host, path, body, accessKeyId, secretAccessKey, region }: PutToSign,
  at: Date,
): Record<string, string> {
  const time = at.toISOString().replace(/[-:]|\.\d+/g, '');
  const day = time.slice(0, 8);
  const signed = { host, 'x-amz-content-sha256': hash('sha256', body), 'x-amz-date': time };
  const names = Object.keys(signed).join(';');
  const lines = Object.entries(signed).map(([name, value]) => `${name}:${value}\n`);
  const canonical = ['PUT', path, '', lines.join(''), names, signed['x-amz-content-sha256']].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', time, scope, hash('sha256', canonical)].join('\n');
  const signature = hmac(signingKey(scope, secretAccessKey), text).toString('hex');
  return {
    ...signed,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
  };
}

/** The key of the last signature: it changes once a day, and deriving it costs more than the signature. */
let last: { scope: string; secretAccessKey: string; key: Buffer } = {
  scope: '',
  secretAccessKey: '',
  key: Buffer.alloc(0),
};

function signingKey(scope: string, secretAccessKey: string): Buffer {
  if (last.scope !== scope || last.secretAccessKey !== secretAccessKey) {
    const key = scope.split('/').reduce<Buffer>(hmac, Buffer.from(`AWS4${secretAccessKey}`));
    last = { scope, secretAccessKey, key };
  }
  return last.key;
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** Everything but unreserved characters and slashes, as the signature wants it. */
function encodePath(path: string): string {
  return encodeURIComponent(path)
    .replaceAll('%2F', '/')
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
