import type { RequestHandler } from 'express';
import type { Logger } from '../../../platform/logging.js';
import type { ErrorCode } from '../../../contracts/errors.js';
import type { RequestMetrics } from '../request-metrics.js';
import { contextOf } from '../request-context.js';

export interface ObservedMetrics extends Pick<RequestMetrics, 'countRequest'> {
  countPredictionError(code: ErrorCode): void;
}

/** Logs and counts each request once its response is sent or its client has disconnected. Bodies are never logged. */
export function observe(logger: Logger, metrics: ObservedMetrics): RequestHandler {
  return (request, response, next) => {
    const startedAt = performance.now();
    response.once('close', () => {
      const seconds = (performance.now() - startedAt) / 1000;
      const { requestId, route, kind, problem } = contextOf(request);
      // 499: the client disconnected before the response, as in nginx.
      const status = response.headersSent ? response.statusCode : 499;
      metrics.countRequest({ method: request.method, route, status, seconds });
      if (problem && kind === 'prediction') metrics.countPredictionError(problem);
      const line = {
        request_id: requestId,
        method: request.method,
        path: request.originalUrl.split('?')[0],
        route,
        status,
        ...(problem && { problem }),
        duration_ms: Math.round(seconds * 1e5) / 100,
      };
      if (status >= 500) logger.error(line, 'request');
      else if (status >= 400) logger.warn(line, 'request');
      else if (kind === 'probe') logger.debug(line, 'request');
      else logger.info(line, 'request');
    });
    next();
  };
}
