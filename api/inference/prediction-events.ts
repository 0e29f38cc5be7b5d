import type { ExplanationMethod } from '../../contracts/inference/http-explanations.js';
import type { Prediction } from '../../model/serving/engine.js';
import type { ServedModel } from '../model-host/served-model.js';
import type { CacheResult } from './prediction-cache.js';

/** A prediction and its input kind. `cached` is null without a cache; pixels are not decoded. */
export type PredictionEvent = { served: ServedModel; prediction: Prediction; latencyMs: number } & (
  { of: 'image'; cached: CacheResult | null } | { of: 'pixels' } | { of: 'explanation'; method: ExplanationMethod }
);

/** A refusal or failure of the engine. Admission happens before the body is read. */
export interface PredictionFailure {
  served: ServedModel | null;
  of: PredictionEvent['of'] | 'admission';
  error: unknown;
}

/** Observer of the predictor, called for each prediction before the answer is sent. */
export interface PredictionListener {
  onPredicted(event: PredictionEvent): void;
  onFailed(failure: PredictionFailure): void;
}
