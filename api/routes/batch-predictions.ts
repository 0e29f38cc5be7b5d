import type { Route } from '../route.js';

/** Predictions over many images, as durable jobs. */
export function batchPredictionRoutes(): Route[] {
  return [];
}
