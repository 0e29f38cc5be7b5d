import type { Context } from '@temporalio/activity';
import { ApplicationFailure, TemporalFailure } from '@temporalio/common';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import { errorCodeOf, errorTable, messageOf, PerennialError, type ErrorCode } from '../contracts/errors.js';
import type { Logger } from '../platform/logging.js';

/**
 * Stands around every activity: one log line at its end, and failures told to Temporal in our codes. A failure's
 * type is its code; codes that cannot pass by trying again are non-retryable.
 */
export function createActivityInterceptor(context: Context, logger: Logger): ActivityInboundCallsInterceptor {
  const { activityType, attempt, workflowExecution } = context.info;
  const log = logger.child({ activity: activityType, attempt, workflow_id: workflowExecution?.workflowId });
  return {
    async execute(input, next) {
      const startedAt = performance.now();
      const durationMs = (): number => Math.round(performance.now() - startedAt);
      try {
        const result: unknown = await next(input);
        log.info({ duration_ms: durationMs() }, 'activity completed');
        return result;
      } catch (error) {
        if (context.cancellationSignal.aborted) await context.cancelled;
        log.warn({ duration_ms: durationMs(), code: errorCodeOf(error), error }, 'activity failed');
        throw toTemporalFailure(error, attempt);
      }
    },
  };
}

/**
 * A fault of our own code, or a trainer that dies each time, does not get better by endless trying. All attempts count,
 * also those that a service's absence cost, so the limits leave room for a minute of that (ten attempts).
 */
const attemptLimits: Partial<Record<ErrorCode, number>> = { internal: 15, trainer_died: 30 };

/** The Temporal form of a failure; Temporal's own failures (cancellation above all) pass unchanged. */
export function toTemporalFailure(error: unknown, attempt: number): unknown {
  if (error instanceof TemporalFailure) return error;
  const code = errorCodeOf(error);
  return ApplicationFailure.create({
    message: messageOf(error),
    type: code,
    nonRetryable: !errorTable[code].retryable || attempt >= (attemptLimits[code] ?? Infinity),
    details: error instanceof PerennialError ? [error.details] : [],
    ...(error instanceof Error && { cause: error }),
  });
}
