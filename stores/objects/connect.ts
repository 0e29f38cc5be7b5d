import { S3Client } from '@aws-sdk/client-s3';
import { PerennialError } from '../../contracts/errors.js';
import type { Config } from '../../platform/config.js';

const connectTimeoutMs = 3_000;

/**
 * The S3 client of the configuration. It repeats a request that the server failed, but not one that the server left
 * unanswered: three timeouts in a row would outlast the patience of every client, and activities are retried anyway.
 */
export function connectObjectStore(config: Config & { S3_ENDPOINT: string }): S3Client {
  const client = new S3Client({
    endpoint: config.S3_ENDPOINT,
    region: config.S3_REGION,
    // Without keys the server refuses the request, and the error names the settings.
    credentials: {
      accessKeyId: config.S3_ACCESS_KEY_ID ?? 'unset',
      secretAccessKey: config.S3_SECRET_ACCESS_KEY ?? 'unset',
    },
    forcePathStyle: config.S3_FORCE_PATH_STYLE,
    maxAttempts: 3,
    // The socket timeout counts from the last byte in either direction, so it does not limit the size of a file.
    requestHandler: { connectionTimeout: connectTimeoutMs, socketTimeout: config.S3_TIMEOUT_MS },
    // Some S3 servers reject the SDK's own checksums; our objects carry their digests in their names or rows.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        throw isTimeout(error) ? unanswered() : error;
      }
    },
    // Low priority is inside of the retries.
    { step: 'finalizeRequest', priority: 'low', name: 'noRetryAfterTimeout' },
  );
  return client;
}

/** Whether the server accepted no connection, or sent and took no byte, for as long as is allowed. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}

/** It has no cause, because the client would look there whether to try again. */
export function unanswered(): PerennialError {
  return new PerennialError(
    'object_store_unavailable',
    'The S3 server does not answer. Check that it runs and is not overloaded; S3_TIMEOUT_MS says how long to wait for it.',
  );
}
