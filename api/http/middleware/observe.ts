import type { RequestHandler } from 'express';
import type { Logger } from '../../../platform/logging.js';
import type { ErrorCode } from '../../../contracts/errors.js';
import type { RequestMetrics } from '../request-metrics.js';
import { contextOf } from '../request-context.js';

const predicting = new Set([
  '/predict',
  '/predict/batch',
  '/invocations',
  '/explain',
  '/v2/models/{model_name}/infer',
  '/v2/models/{model_name}/versions/{version}/infer',
]);

/** Routes that are asked all the time by machines; their good answers are logged at `debug`. */
const routine = new Set([
  '/health',
  '/health/live',
  '/health/ready',
  '/metrics',
  '/ping',
  '/v2/health/live',
  '/v2/health/ready',
]);

export interface ObservedMetrics extends Pick<RequestMetrics, 'countRequest'> {
  countPredictionError(code: ErrorCode): void;
}

/** One log line and one count for each request, when its answer is out or its client gone. Never a body. */
export function observe(logger: Logger, metrics: ObservedMetrics): RequestHandler {
  return (request, response, next) => {
    const startedAt = performance.now();
    response.once('close', () => {
      const seconds = (performance.now() - startedAt) / 1000;
      const { requestId, route, problem } = contextOf(request);
      // 499: the client left before there was an answer, as nginx writes it.
      const status = response.headersSent ? response.statusCode : 499;
      metrics.countRequest({ method: request.method, route, status, seconds });
      if (problem && predicting.has(route)) metrics.countPredictionError(problem);
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
      else if (routine.has(route)) logger.debug(line, 'request');
      else logger.info(line, 'request');
    });
    next();
  };
}
