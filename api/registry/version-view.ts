import { toSnake } from '../../contracts/http/snake-shape.js';
import { modelVersionViewSchema, type ModelVersionView } from '../../contracts/registry/http-versions.js';
import type { RegisteredVersion } from '../../contracts/registry/registry.js';

/** A model version as JSON. */
export function modelVersionView(version: RegisteredVersion): ModelVersionView {
  return toSnake(modelVersionViewSchema, { ...version, metrics: version.evaluation });
}
