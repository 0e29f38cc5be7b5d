import type { IncomingMessage } from 'node:http';
import type { ErrorCode } from '../../contracts/errors.js';
import type { BodyCharge } from './body/memory-budget.js';

/**
 * Kinds of routes with special treatment: errors of predictions are counted, and successful probes, which are frequent,
 * are logged at `debug`.
 */
export type RouteKind = 'prediction' | 'probe';

/** Server-side data of a request. */
export interface RequestContext {
  /** Sent back as `X-Request-Id`, logged, and the `trace_id` of problems. */
  readonly requestId: string;
  /** Arrival of its headers, as `performance.now()`. */
  readonly arrivedAt: number;
  /** Route template, such as `/api/v1/pipelines/{run_id}`; `unmatched` without a route. */
  route: string;
  kind?: RouteKind | undefined;
  /** Under which a proxy offers the API, such as `/flowers`; empty if it has the whole host. */
  basePath?: string;
  /** What its body holds of the memory budget. */
  memory?: BodyCharge;
  /** Code of the problem that was sent, if any. */
  problem?: ErrorCode;
}

const contexts = new WeakMap<IncomingMessage, RequestContext>();

/** Attaches a context to a request. Called by the first middleware. */
export function bindContext(request: IncomingMessage, context: RequestContext): void {
  contexts.set(request, context);
}

/** The context of a request. */
export function contextOf(request: IncomingMessage): RequestContext {
  return contexts.get(request) ?? { requestId: 'unknown', arrivedAt: performance.now(), route: 'unmatched' };
}
