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
