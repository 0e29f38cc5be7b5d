import type { Route } from '../route.js';

/** What people are asked to label, and what they said. */
export function labelRoutes(): Route[] {
  return [];
}
