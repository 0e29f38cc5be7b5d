import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express';
import { PerennialError } from '../../../contracts/errors.js';
import type { Logger } from '../../../platform/logging.js';
import { pathOf } from '../base-path.js';
import { deadlineOf } from '../deadline.js';
import { problemFormatOf } from '../problem-format.js';
import { problemOf, toPerennialError } from '../problems.js';
import { contextOf } from '../request-context.js';
import { endAfterDrain } from './drain.js';
import { HeldRefusals } from './held-refusals.js';

/**
 * The last middleware: turns every error into problem+json, those of overload at the pace of `refusals`. Server errors are
 * logged with their cause.
 */
export function answerProblems(logger: Logger, refusals = new HeldRefusals()): ErrorRequestHandler {
  return (thrown: unknown, request, response, next) => {
    const error = toPerennialError(thrown);
    logFault(logger, request, error);
    if (!response.headersSent) {
      const answer = (): void => sendProblem(request, response, error);
      // Also for the log of a client that leaves before its answer.
      contextOf(request).problem = error.code;
      if (error.code === 'overloaded') refusals.hold(response, answer, latestAnswerTo(request));
      else answer();
      return;
    }
    // A partly sent response cannot be replaced: abort it, so that the client does not take it for complete.
    if (!answered.has(response)) response.destroy();
    next();
  };
}

/** The answer must still reach a client that waits for a limited time. */
const reachMs = 50;

function latestAnswerTo(request: Request): number {
  try {
    return (deadlineOf(request).deadlineAt ?? Infinity) - reachMs;
  } catch {
    // Its route does not look at the header, which is not valid.
    return Infinity;
  }
}

/** Logs a server error under the trace id that its problem names. */
export function logFault(logger: Pick<Logger, 'error'>, request: Request, error: PerennialError): void {
  if (error.code !== 'internal') return;
  logger.error({ request_id: contextOf(request).requestId, error: traceOf(error) }, 'request failed');
}

/** Answers with the problem of an error, unless a response was started. */
export function sendProblem(request: Request, response: Response, error: PerennialError): void {
  if (response.headersSent) return;
  contextOf(request).problem = error.code;
  const { requestId, basePath } = contextOf(request);
  const problem = problemOf(error, pathOf(request), requestId, basePath);
  const { contentType, render } = problemFormatOf(pathOf(request));
  response.status(problem.status).setHeader('Content-Type', contentType);
  response.setHeader('Cache-Control', 'no-store');
  // The rest of such a body would only occupy the connection.
  if (error.code === 'body_timeout') response.setHeader('Connection', 'close');
  if (problem.retry_after_seconds !== undefined) response.setHeader('Retry-After', problem.retry_after_seconds);
  answered.add(response);
  endAfterDrain(request, response, JSON.stringify(render(problem)));
}

/** Responses with a problem; their end may wait for the rest of the request body. */
const answered = new WeakSet<Response>();

/** Answers requests without a route. */
export const answerNotFound: RequestHandler = (request) => {
  throw new PerennialError('not_found', `There is no ${request.path}; /docs lists all routes.`);
};

/** Answers OPTIONS and unsupported methods of a path with its `Allow` list. */
export function answerOtherMethods(methods: readonly string[]): RequestHandler {
  const offered = methods.flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]));
  const allow = [...offered, 'OPTIONS'].join(', ');
  return (request, response) => {
    response.setHeader('Allow', allow);
    if (request.method === 'OPTIONS') {
      response.status(204).end();
      return;
    }
    throw new PerennialError('method_not_allowed', `${request.path} offers ${allow}, not ${request.method}.`);
  };
}

/** Stacks only: an error object may contain a request body, which must not be logged. */
function traceOf(error: PerennialError): string[] {
  const causes = [error, error.cause].filter((one) => one instanceof Error);
  return causes.map((cause) => cause.stack ?? cause.message);
}
