import type { Route } from '../route.js';

/** The Open Inference Protocol, version 2. */
export function v2Routes(): Route[] {
  return [];
}
