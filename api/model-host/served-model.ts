import { PerennialError } from '../../contracts/errors.js';
import type { ServingPolicy } from '../../contracts/promotion/policy.js';
import type { ModelVersion, Retirement } from '../../contracts/registry/registry.js';
import type { Abstention } from '../../domain/predictions/abstention.js';
import { wayBack } from '../../stores/promotion/production.js';
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

/** What a replica serves, or why it serves nothing. */
export interface ServingHost {
  /** The served model; use its engine before the next await. */
  current(): ServedModel | null;
  /** The retirement that ended serving; null while a model is served or none ever was. */
  retirement(): Retirement | null;
}

/** The served model. Throws `no_model`, `model_retired`. */
export function modelOf(host: ServingHost, modelName: string): ServedModel {
  const [served, retirement] = [host.current(), host.retirement()];
  if (served) return served;
  if (retirement) throw isRetired(retirement, modelName);
  throw new PerennialError(
    'no_model',
    `No version of ${modelName} is served. Start a retraining, or wait until the first version is promoted.`,
  );
}

/** The error for requests to a retired model. */
export function isRetired(retirement: Retirement, modelName: string): PerennialError {
  const { by, at, reason } = retirement;
  return new PerennialError(
    'model_retired',
    `${modelName} was retired by ${by} at ${at}: ${asSentence(reason)} ${wayBack(retirement, modelName)}`,
  );
}

function asSentence(reason: string): string {
  return /[.!?]$/.test(reason) ? reason : `${reason}.`;
}
