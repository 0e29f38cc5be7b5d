import { isGrpcServiceError, ScheduleNotFoundError, WorkflowNotFoundError } from '@temporalio/client';
import { messageOf, PerennialError } from '../../contracts/errors.js';

/** What gRPC says when a server is away, slow or shedding load: UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, RESOURCE_EXHAUSTED. */
const awayCodes: readonly number[] = [14, 4, 1, 8];

/** The form of a failed request to Temporal in our error table; what we or Temporal say about a thing passes as it is. */
export function toTemporalError(error: unknown, address: string): unknown {
  if (error instanceof PerennialError || isAnswer(error)) return error;
  const grpc = grpcFault(error);
  if (grpc === null) return isUnknownZone(error) ? unknownZone(error) : error;
  if (awayCodes.includes(grpc.code)) {
    return new PerennialError(
      'temporal_unavailable',
      `Temporal at ${address} does not answer. Predictions go on; try this again when it is back.`,
      { cause: error },
    );
  }
  const hint = grpc.message.includes('search attribute')
    ? ' Register the Keyword search attributes MlModel, MlDataset, MlTrigger and MlStage in the namespace.'
    : '';
  return new PerennialError('internal', `Temporal refused the request: ${grpc.message}.${hint}`, { cause: error });
}

function isAnswer(error: unknown): boolean {
  return error instanceof WorkflowNotFoundError || error instanceof ScheduleNotFoundError;
}

/** Of a schedule the client makes a TypeError of what Temporal says; a zone is the one thing there that people name. */
function isUnknownZone(error: unknown): error is TypeError {
  return error instanceof TypeError && error.message.includes('unknown time zone');
}

/** We know a zone by all its names in any spelling, Temporal only as the database spells them. */
function unknownZone(error: TypeError): PerennialError {
  return new PerennialError(
    'bad_request',
    `Temporal refuses this (${error.message}). Spell the zone as the IANA database does, for instance Europe/Berlin.`,
    { cause: error },
  );
}

/** The client wraps some gRPC errors in its own and throws others as they are. */
function grpcFault(error: unknown): { code: number; message: string } | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (isGrpcServiceError(cause)) return { code: cause.code, message: messageOf(cause) };
  }
  return null;
}
