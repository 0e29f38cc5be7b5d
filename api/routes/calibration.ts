import type { Route } from '../route.js';

/** What the confidence of a version means. */
export function calibrationRoutes(): Route[] {
  return [];
}
