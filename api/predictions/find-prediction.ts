import { setTimeout as sleep } from 'node:timers/promises';
import { PerennialError } from '../../contracts/errors.js';
import { timeOfUuid7 } from '../../platform/uuid7.js';
import { unknownPrediction } from '../../stores/predictions/feedback.js';
import type { StoredPrediction, PredictionStore } from '../../stores/predictions/predictions.js';
import type { ApiSettings } from '../http/settings.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';
import type { PredictionLog } from './log/prediction-log.js';

/** Stores for looking up a prediction. */
export interface PredictionLookup {
  predictions: Pick<PredictionStore, 'get'>;
  predictionLog: Pick<PredictionLog, 'flush'>;
  policies: Pick<PolicyStore, 'get'>;
  settings: Pick<ApiSettings, 'modelName'>;
}

/** A prediction this young may still be in the journal of another replica. */
const youngMs = 10_000;
const pollMs = 100;
export const findPatienceMs = 2_000;
const dayMs = 86_400_000;

/**
 * A prediction, including one that is still in the journal of this replica or, within `waitMs`, of another replica.
 * Throws `not_found`.
 */
export async function findPrediction(
  deps: PredictionLookup,
  id: string,
  waitMs = findPatienceMs,
): Promise<StoredPrediction> {
  const { predictions, predictionLog } = deps;
  const known = await predictions.get(id);
  if (known) return known;
  await predictionLog.flush();
  const madeAt = timeOfUuid7(id)?.getTime() ?? Number.NaN;
  const until = Math.abs(Date.now() - madeAt) < youngMs ? Date.now() + waitMs : 0;
  for (;;) {
    const arrived = await predictions.get(id);
    if (arrived) return arrived;
    if (Date.now() >= until) throw await whyUnknown(deps, id, madeAt);
    await sleep(pollMs);
  }
}

/** Labels often arrive weeks later: a valid id may belong to a prediction past its retention period. */
async function whyUnknown(
  { policies, settings }: PredictionLookup,
  id: string,
  madeAt: number,
): Promise<PerennialError> {
  if (Number.isNaN(madeAt)) return unknownPrediction(id);
  const { predictionDays } = (await policies.get(settings.modelName)).retention;
  if (Date.now() - madeAt < predictionDays * dayMs) return unknownPrediction(id);
  return new PerennialError(
    'not_found',
    `Prediction ${id} dates from ${new Date(madeAt).toISOString().slice(0, 10)}; predictions are stored for ${predictionDays} days. To accept later labels, raise retention.prediction_days in the policy of the model.`,
  );
}
