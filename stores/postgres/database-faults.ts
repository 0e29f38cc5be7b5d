import { errorCodeOf, messageOf, PerennialError, systemCodeOf } from '../../contracts/errors.js';
import { networkFaults } from '../../platform/network-faults.js';
import { withoutSecrets } from '../../platform/secrets.js';

/** Codes of the driver and the system for an unreachable server or a lost connection. */
const faultCodes = new Set<string>([...networkFaults, 'ENOENT', '57P01', '57P02', '57P03', '25006']);

const faultMessages =
  /connection terminated|timeout exceeded when trying to connect|query read timeout|not queryable|connection error|client was closed/i;

/** Postgres' code for text with a NUL character. */
const impossibleText = '22021';

/** Class 53, "insufficient resources", apart from the disk. */
const insufficientResources = /^53/;
const diskFull = '53100';
/** Postgres reports a file that it may not write, for instance on a read-only file system, as a missing privilege. */
const unwritableFile = /^could not (?:open|create|extend|write|rename).* file/;

/**
 * Maps a full or read-only disk of the server to `insufficient_storage`, other retryable failures to `database_unavailable`,
 * and text with a NUL character to `bad_request`; returns every other failure unchanged.
 */
export function toDatabaseError(error: unknown): unknown {
  if (systemCodeOf(error) === impossibleText) {
    return new PerennialError('bad_request', 'A text holds a NUL character. Send it without.', { cause: error });
  }
  if (isDiskFault(error)) {
    return new PerennialError(
      'insufficient_storage',
      `Postgres cannot write to its disk (${messageOf(error)}). Free space there; Postgres and Perennial continue then.`,
      { cause: error },
    );
  }
  if (!isConnectionFault(error)) return error;
  return new PerennialError(
    'database_unavailable',
    `Postgres cannot be reached (${withoutSecrets(messageOf(error)) || systemCodeOf(error)}). Check that it runs and that DATABASE_URL is right.`,
    { cause: error },
  );
}

/** Whether Postgres refused the data, so that the same statement cannot succeed. */
export function isRefusedData(error: unknown): boolean {
  return errorCodeOf(error) === 'bad_request' || /^2[23]/.test(systemCodeOf(error));
}

function isDiskFault(error: unknown): boolean {
  const code = systemCodeOf(error);
  return code === diskFull || (code === '42501' && unwritableFile.test(messageOf(error)));
}

function isConnectionFault(error: unknown): boolean {
  if (!(error instanceof Error) || errorCodeOf(error) !== 'internal') return false;
  const code = systemCodeOf(error);
  return (
    faultCodes.has(code) || /^08/.test(code) || insufficientResources.test(code) || faultMessages.test(error.message)
  );
}
