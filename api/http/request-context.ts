import type { IncomingMessage } from 'node:http';
import type { ErrorCode } from '../../contracts/errors.js';

/**
 * Routes that are treated apart: the errors of a prediction are counted, and the good answers of a probe, which a
 * machine asks every few seconds, are logged at `debug`.
 */
export type RouteKind = 'prediction' | 'probe';

/** What is known of a request beside what the client sent. */
export interface RequestContext {
  /** Sent back as `X-Request-Id`, logged, and the `trace_id` of problems. */
  readonly requestId: string;
  /** When its headers were read, in the time of `performance.now()`. */
  readonly arrivedAt: number;
  /** Template of the route that answers, such as `/api/v1/pipelines/{run_id}`; `unmatched` when there is none. */
  route: string;
  kind?: RouteKind | undefined;
  /** Code of the problem that was answered, if one was. */
  problem?: ErrorCode;
}

const contexts = new WeakMap<IncomingMessage, RequestContext>();

/** Binds a context to a request. The first middleware does it, so that every later one finds it. */
export function bindContext(request: IncomingMessage, context: RequestContext): void {
  contexts.set(request, context);
}

/** The context of a request. */
export function contextOf(request: IncomingMessage): RequestContext {
  return contexts.get(request) ?? { requestId: 'unknown', arrivedAt: performance.now(), route: 'unmatched' };
}
