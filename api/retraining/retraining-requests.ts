import type { Actor } from '../../contracts/audit/audit.js';
import { messageOf, PerennialError } from '../../contracts/errors.js';
import type { RetrainingInput } from '../../contracts/retraining/retraining-pipeline.js';
import type { RetrainingMetrics, RetrainingVerdict } from '../../contracts/retraining/retraining.js';
import { decideRetraining, metricsOf } from '../../domain/retraining/retraining-decision.js';
import { unknownModel } from '../../stores/promotion/production.js';
import type { RetrainingDecision, RetrainingDecisions } from '../../stores/retraining/retraining-decisions.js';
import type { RetrainingInputStore } from '../../stores/retraining/retraining-inputs.js';
import {
  createRetrainingOrders,
  type OrderOptions,
  type RetrainingOrders,
} from '../../stores/retraining/retraining-orders.js';
import type { PipelineStarter, StartedRun } from '../workflows/pipeline-starter.js';

export interface RetrainingOrder extends Pick<RetrainingInput, 'modelName' | 'trigger' | 'requestId'>, OrderOptions {
  dataset: string | null;
  /** Whether it is started regardless of the checks. */
  force: boolean;
  by: Actor;
}

/** Manual retrainings. They are decided and stored like those of schedules. */
export interface RetrainingRequests {
  /** The decision that continuous training would take now. Writes nothing. Throws `not_found` for an unknown model. */
  check(modelName: string): Promise<{
    modelName: string;
    dataset: string;
    verdict: RetrainingVerdict;
    metrics: RetrainingMetrics;
  }>;
  /**
   * Starts a retraining or joins the one under way. Repeating a request with the same id returns the run it started. Throws
   * `temporal_unavailable`, and `conflict` if `force` is false and the request was skipped.
   */
  order(order: RetrainingOrder): Promise<{ run: StartedRun; decision: RetrainingDecision }>;
  /** Throws `not_found` for a model that has no version and is not the configured one. */
  checkKnown(modelName: string): Promise<void>;
}

export interface RetrainingRequestsOptions {
  decisions: RetrainingDecisions;
  facts: RetrainingInputStore;
  starter: Pick<PipelineStarter, 'reach' | 'start'>;
  /** Model and dataset of the configuration. */
  modelName: string;
  datasetName: string;
}

export function createRetrainingRequests(options: RetrainingRequestsOptions): RetrainingRequests {
  const { decisions, facts, datasetName } = options;
  const orders = createRetrainingOrders(options, { judge: decideRetraining, metricsOf });
  const checkKnown = async (modelName: string): Promise<void> => {
    if (modelName === options.modelName || (await facts.isKnown(modelName))) return;
    throw unknownModel(modelName);
  };
  return {
    checkKnown,
    async check(modelName) {
      await checkKnown(modelName);
      const found = await facts.read({ modelName, dataset: null, fallback: datasetName });
      const state = await decisions.state(modelName);
      const verdict = decideRetraining({
        kind: 'continuous_training',
        trigger: 'schedule',
        inputs: found,
        state,
      });
      return { modelName, dataset: found.dataset, verdict, metrics: metricsOf(found) };
    },
    order: (order) => carryOut(options, orders, order),
  };
}

async function carryOut(
  { decisions, starter }: RetrainingRequestsOptions,
  orders: RetrainingOrders,
  order: RetrainingOrder,
): Promise<{ run: StartedRun; decision: RetrainingDecision }> {
  await starter.reach();
  const kind = order.force ? 'manual' : 'continuous_training';
  const { decision, hyperparameters } = await orders.decide({ ...order, kind, scheduledFor: null });
  if (decision.decision === 'skip') {
    throw new PerennialError('conflict', `${decision.reason} Send force: true to retrain all the same.`);
  }
  try {
    return {
      run: await orders.start(decision, { ...order, hyperparameters: order.hyperparameters ?? hyperparameters }),
      decision,
    };
  } catch (error) {
    await decisions.notStarted(order.requestId, messageOf(error));
    throw error;
  }
}
