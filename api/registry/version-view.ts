import { toSnake } from '../../contracts/http/snake-shape.js';
import { modelVersionViewSchema, type ModelVersionView } from '../../contracts/registry/http-versions.js';
import type { RegisteredVersion } from '../../contracts/registry/registry.js';
import type { Remeasurement } from '../../contracts/registry/remeasurement.js';
import type { RegistryStore } from '../../stores/registry/registry.js';

type Registry = Pick<RegistryStore, 'remeasurements'>;

/** A model version as JSON. */
export async function modelVersionView(registry: Registry, version: RegisteredVersion): Promise<ModelVersionView> {
  const again = await registry.remeasurements(version.modelName, [version.version]);
  return viewOf(version, again.get(version.version));
}

/** Versions of one model as JSON. */
export async function modelVersionViews(
  registry: Registry,
  modelName: string,
  versions: readonly RegisteredVersion[],
): Promise<ModelVersionView[]> {
  const again = await registry.remeasurements(
    modelName,
    versions.map(({ version }) => version),
  );
  return versions.map((version) => viewOf(version, again.get(version.version)));
}

function viewOf(version: RegisteredVersion, remeasurement: Remeasurement | undefined): ModelVersionView {
  const view = { ...version, metrics: version.evaluation, remeasurement: remeasurement ?? null };
  return toSnake(modelVersionViewSchema, view);
}
