import { PerennialError } from '../../contracts/errors.js';
import type { ServingPolicy } from '../../contracts/promotion/policy.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import type { Abstention } from '../../domain/predictions/abstention.js';
import type { Engine } from '../../model/serving/engine.js';

/** The model that serves requests. */
export interface ServedModel {
  readonly engine: Engine;
  readonly version: ModelVersion;
  readonly generation: number;
  readonly loadedAt: Date;
  /** Abstention threshold on the confidence; null if the model never abstains. */
  readonly abstainBelow: number | null;
  /** Origin of the threshold. */
  readonly abstention: Abstention;
  /** The serving part of its policy. */
  readonly serving: ServingPolicy;
}

/** The served model. Throws `no_model`. */
export function modelOf(served: ServedModel | null, modelName: string): ServedModel {
  if (served) return served;
  throw new PerennialError(
    'no_model',
    `No version of ${modelName} is served. Start a retraining, or wait until the first version is promoted.`,
  );
}
