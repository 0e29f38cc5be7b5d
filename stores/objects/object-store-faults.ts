import { errorCodeOf, messageOf, PerennialError, systemCodeOf } from '../../contracts/errors.js';
import { networkFaults } from '../../platform/network-faults.js';
import { withoutSecrets } from '../../platform/secrets.js';
import { isTimeout, unanswered } from './connect.js';

const networkCodes = new Set<string>([...networkFaults, 'ERR_STREAM_PREMATURE_CLOSE']);
const networkNames = new Set(['RequestTimeout', 'SlowDown', 'ServiceUnavailable', 'InternalError', 'AbortError']);
const refusals = new Set([
  'AccessDenied',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'Forbidden',
  // versitygw's error code for an unknown access key, with status 404.
  'XAdminUserNotFound',
]);

/** How S3 servers report a full disk or quota; some with status 500 or 403. */
const fullNames = new Set([
  'InsufficientStorage',
  'QuotaExceeded',
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
]);
const fullMessage = /no space left|disk quota exceeded|read-only file system/i;

/** Maps a failure of the S3 client to an error code; `what` is the key or bucket. */
export function toObjectStoreError(error: unknown, what: string): unknown {
  if (!(error instanceof Error) || errorCodeOf(error) !== 'internal') return error;
  if (isMissing(error)) {
    return new PerennialError('not_found', `The object store has no ${what}. It may have been deleted by hand.`, {
      cause: error,
    });
  }
  if (isTimeout(error)) return unanswered();
  if (isStorageFault(error)) {
    return new PerennialError(
      'insufficient_storage',
      `The S3 server has no space for ${what} (${messageOf(error) || error.name}). Free space on its disk, or raise its quota.`,
      { cause: error },
    );
  }
  if (isNetworkFault(error)) {
    return new PerennialError(
      'object_store_unavailable',
      `The S3 server cannot be reached (${withoutSecrets(messageOf(error)) || error.name}). Check that it runs and that S3_ENDPOINT is right.`,
      { cause: error },
    );
  }
  if (refusals.has(error.name) || statusOf(error) === 401 || statusOf(error) === 403) {
    return new PerennialError(
      'object_store_refused',
      `The S3 server refused access to ${what} (${error.name}). Check S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY and the bucket's permissions.`,
      { cause: error },
    );
  }
  return error;
}

/** Whether an S3 failure means that the key or bucket does not exist. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof Error) || refusals.has(error.name)) return false;
  return statusOf(error) === 404 || error.name === 'NoSuchKey' || error.name === 'NoSuchBucket';
}

function isStorageFault(error: Error): boolean {
  if (statusOf(error) === 507 || fullNames.has(error.name)) return true;
  return statusOf(error) >= 500 && fullMessage.test(error.message);
}

function isNetworkFault(error: Error): boolean {
  if (networkCodes.has(systemCodeOf(error))) return true;
  return networkNames.has(error.name) || statusOf(error) >= 500 || statusOf(error) === 429;
}

/** The HTTP status of an S3 failure; 0 when there was no answer. */
export function statusOf(error: Error): number {
  const metadata: unknown = '$metadata' in error ? error.$metadata : undefined;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return 0;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : 0;
}
