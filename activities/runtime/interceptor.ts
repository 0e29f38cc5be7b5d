import type { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure, TemporalFailure } from '@temporalio/common';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import {
  errorCodeOf,
  errorTable,
  isErrorCode,
  messageOf,
  PerennialError,
  systemFault,
  type ErrorCode,
} from '../../contracts/errors.js';
import { createLogCapture, type Logger, type LogCapture } from '../../platform/logging.js';
import { withoutSecrets } from '../../platform/secrets.js';
import type { StorageGuard } from '../../platform/storage-guard.js';
import type { AttemptEntry } from '../../stores/pipelines/attempts.js';
import type { AttemptRecorder } from './attempt-recorder.js';
import { writeCarriedSteps, type RecordActivities } from './records.js';
import { waitForStorage } from './wait-for-storage.js';

/** Where attempts and steps are recorded, the name of this worker process, and its disk. */
export interface AttemptRecording {
  attempts: AttemptRecorder;
  steps?: Pick<RecordActivities, 'enterSteps'>;
  worker: string;
  storage?: Pick<StorageGuard, 'state' | 'refusal'>;
}

const unrecorded: AttemptRecording = {
  attempts: { begin: () => () => Promise.resolve() },
  worker: 'unknown',
};

/**
 * Wraps every activity: writes the states of steps that it carries before its work, and one log line at its end, records
 * the attempt with its log lines, and converts errors to
 * Temporal failures. The type of a failure is its error code; codes that a retry cannot fix are non-retryable.
 */
export function createActivityInterceptor(
  context: Context,
  logger: Logger,
  { attempts, steps, worker, storage }: AttemptRecording = unrecorded,
): ActivityInboundCallsInterceptor {
  const { activityType, attempt, workflowExecution } = context.info;
  const log = logger.child({ activity: activityType, attempt, workflow_id: workflowExecution?.workflowId });
  return {
    async execute(input, next) {
      const startedAt = performance.now();
      const durationMs = (): number => Math.round(performance.now() - startedAt);
      const capture = createLogCapture();
      const begun = attemptOf(context.info, worker);
      let end = attempts.begin(begun);
      const showWaiting = (reason: PerennialError | null): void => {
        const error = reason && errorOf(toTemporalFailure(reason, attempt));
        end = attempts.begin({ ...begun, error, log: [...capture.lines] });
      };
      try {
        const result: unknown = await capture.during(async () => {
          if (steps) await writeCarriedSteps(input.headers, steps);
          if (storage) await waitForStorage(context, storage, log, showWaiting);
          return next(input);
        });
        log.info({ duration_ms: durationMs() }, 'activity completed');
        await end({ ...begun, ...endOf('completed', capture) });
        return result;
      } catch (error) {
        const failure = (await cancellationOf(context)) ?? toTemporalFailure(error, attempt);
        const status = failure instanceof CancelledFailure ? 'cancelled' : 'failed';
        capture.during(() => {
          log.warn({ duration_ms: durationMs(), code: errorCodeOf(error), error }, `activity ${status}`);
        });
        await end({ ...begun, ...endOf(status, capture), error: errorOf(failure) });
        throw failure;
      }
    },
  };
}

/**
 * Endless retries do not fix a bug, or a trainer that dies each time. All attempts count, also those that failed because a
 * service was unavailable, so the limits leave room for a minute of that (ten attempts).
 */
const attemptLimits: Partial<Record<ErrorCode, number>> = { internal: 15, trainer_died: 15 };

/** Converts an error to a Temporal failure; Temporal's own failures, such as a cancellation, pass unchanged. */
export function toTemporalFailure(error: unknown, attempt: number): unknown {
  if (error instanceof TemporalFailure) return error;
  const code = errorCodeOf(error);
  return ApplicationFailure.create({
    message: withoutSecrets(messageOf(systemFault(error) ?? error)),
    type: code,
    nonRetryable: !errorTable[code].retryable || attempt >= (attemptLimits[code] ?? Infinity),
    details: error instanceof PerennialError ? [error.details] : [],
    ...(error instanceof Error && !hasSecret(error) && { cause: error }),
  });
}

/** Whether a secret of the settings stands in the error or its causes, which Temporal would store. */
function hasSecret(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const text = `${error.message} ${error.stack ?? ''}`;
  return withoutSecrets(text) !== text || hasSecret(error.cause);
}

/** The cancellation of the activity, if it was cancelled: any error thrown after that is a consequence of it. */
async function cancellationOf(context: Context): Promise<unknown> {
  if (!context.cancellationSignal.aborted) return null;
  return context.cancelled.catch((error: unknown) => error);
}

function attemptOf(info: Context['info'], worker: string): AttemptEntry {
  return {
    workflowId: info.workflowExecution?.workflowId ?? '',
    runId: info.workflowExecution?.runId ?? '',
    activityId: info.activityId,
    attempt: info.attempt,
    activityType: info.activityType,
    taskQueue: info.taskQueue,
    worker,
    status: 'running',
    startedAt: new Date().toISOString(),
    endedAt: null,
    error: null,
    log: [],
    droppedLines: 0,
  };
}

type End = Pick<AttemptEntry, 'status' | 'endedAt' | 'log' | 'droppedLines'>;

function endOf(status: AttemptEntry['status'], { lines, droppedLines }: LogCapture): End {
  return { status, endedAt: new Date().toISOString(), log: [...lines], droppedLines };
}

function errorOf(failure: unknown): AttemptEntry['error'] {
  if (failure instanceof CancelledFailure) return { code: 'cancelled', message: messageOf(failure), retryable: false };
  const isOurs = failure instanceof ApplicationFailure;
  return {
    code: isOurs && isErrorCode(failure.type) ? failure.type : 'internal',
    message: messageOf(failure),
    retryable: isOurs && failure.nonRetryable !== true,
  };
}
