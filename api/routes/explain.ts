import type { Route } from '../route.js';

/** Why a picture is taken for what it is. */
export function explainRoutes(): Route[] {
  return [];
}
