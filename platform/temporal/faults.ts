import { isGrpcServiceError, ScheduleNotFoundError, WorkflowNotFoundError } from '@temporalio/client';
import { messageOf, PerennialError } from '../../contracts/errors.js';
import { withoutSecrets } from '../secrets.js';

/** gRPC codes of an unreachable, slow or overloaded server: UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, RESOURCE_EXHAUSTED. */
const unavailableCodes: readonly number[] = [14, 4, 1, 8];

/** What the server reports of its database: SQLite, or the system below any other. */
const fullDisk = /disk is full|no space left on device|read-?only (?:database|file system)/i;

/** Maps a failed request to Temporal to the error table. Our own errors and "not found" answers are returned unchanged. */
export function toTemporalError(error: unknown, address: string): unknown {
  if (error instanceof PerennialError || isNotFound(error)) return error;
  const grpc = grpcFault(error);
  if (grpc === null) return isUnknownZone(error) ? unknownZone(error) : error;
  if (unavailableCodes.includes(grpc.code)) {
    return new PerennialError(
      'temporal_unavailable',
      `Temporal at ${address} does not answer. Predictions still work. Retry when Temporal is available again.`,
      { cause: error },
    );
  }
  if (fullDisk.test(grpc.message)) {
    return new PerennialError(
      'insufficient_storage',
      `Temporal at ${address} cannot write to its disk (${grpc.message}). Free space there; Temporal continues then.`,
      { cause: error },
    );
  }
  const hint = grpc.message.includes('search attribute')
    ? ' Register the Keyword search attributes MlModel, MlDataset, MlTrigger and MlStage in the namespace.'
    : '';
  return new PerennialError('internal', `Temporal refused the request: ${withoutSecrets(grpc.message)}.${hint}`, {
    cause: error,
  });
}

function isNotFound(error: unknown): boolean {
  return error instanceof WorkflowNotFoundError || error instanceof ScheduleNotFoundError;
}

/** The client reports an invalid schedule as a TypeError; the time zone is the only part of it that users choose. */
function isUnknownZone(error: unknown): error is TypeError {
  return error instanceof TypeError && error.message.includes('unknown time zone');
}

/** Node accepts time zones in any case and by all aliases, Temporal only the spelling of the IANA database. */
function unknownZone(error: TypeError): PerennialError {
  return new PerennialError(
    'bad_request',
    `Temporal does not know this time zone (${error.message}). Use the spelling of the IANA database, for instance Europe/Berlin.`,
    { cause: error },
  );
}

/** The client wraps some gRPC errors in its own errors and throws others unwrapped. */
function grpcFault(error: unknown): { code: number; message: string } | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (isGrpcServiceError(cause)) return { code: cause.code, message: messageOf(cause) };
  }
  return null;
}
