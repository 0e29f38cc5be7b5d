import type { ExplanationMethod } from '../../contracts/inference/http-explanations.js';
import type { Prediction } from '../../model/serving/engine.js';
import type { ServedModel } from '../model-host/served-model.js';
import type { CacheResult } from './prediction-cache.js';

/** A prediction that was made, and on what. `cached` is null without a cache; pixels are not decoded. */
export type PredictionEvent = { served: ServedModel; prediction: Prediction; latencyMs: number } & (
  { of: 'image'; cached: CacheResult | null } | { of: 'pixels' } | { of: 'explanation'; method: ExplanationMethod }
);

/** What the engine refused or failed at. An admission is asked before the body is read. */
export interface PredictionFailure {
  served: ServedModel | null;
  of: PredictionEvent['of'] | 'admission';
  error: unknown;
}

/** Follows the work of the predictor. It is called for each prediction, before the answer is sent. */
export interface PredictionListener {
  onPredicted(event: PredictionEvent): void;
  onFailed(failure: PredictionFailure): void;
}
