import { PerennialError } from '../../contracts/errors.js';
import type { ServingPolicy } from '../../contracts/promotion/policy.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import type { Abstention } from '../../domain/predictions/abstention.js';
import type { Engine } from '../../model/serving/engine.js';

/** A model that answers requests. */
export interface ServedModel {
  readonly engine: Engine;
  readonly version: ModelVersion;
  readonly generation: number;
  readonly loadedAt: Date;
  /** Confidence below which an answer is an abstention; null when it never abstains. */
  readonly abstainBelow: number | null;
  /** Where that comes from. */
  readonly abstention: Abstention;
  /** How its policy wants it to answer, and what to keep. */
  readonly serving: ServingPolicy;
}

/** The model to predict with. Throws `no_model`. */
export function modelOf(served: ServedModel | null, modelName: string): ServedModel {
  if (served) return served;
  throw new PerennialError(
    'no_model',
    `No version of ${modelName} is being served. Start a retraining, or wait until the first one is promoted.`,
  );
}
