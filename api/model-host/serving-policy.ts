import { servingPolicySchema, type ServingPolicy } from '../../contracts/promotion/policy.js';
import { chooseAbstention } from '../../domain/predictions/abstention.js';
import type { Engine } from '../../model/serving/engine.js';
import type { Logger } from '../../platform/logging.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';
import type { ServedModel } from './served-model.js';

export interface ServingPolicyOptions {
  modelName: string;
  policies: Pick<PolicyStore, 'get'>;
  logger: Pick<Logger, 'info' | 'warn'>;
}

/**
 * How the policy of a model wants it to answer: the share of wrong answers it accepts, the pictures it keeps. While it
 * cannot be read, what was read last holds.
 */
export class ServingPolicyPoller {
  /** The same object as long as it does not change. */
  serving: ServingPolicy = servingPolicySchema.parse({});
  private readable = true;

  constructor(private readonly options: ServingPolicyOptions) {}

  /** Reads the policy again. Never throws. */
  async look(): Promise<void> {
    const { modelName, policies, logger } = this.options;
    try {
      const { serving } = await policies.get(modelName);
      if (JSON.stringify(serving) !== JSON.stringify(this.serving)) {
        logger.info({ serving }, 'the policy of the model changed');
        this.serving = serving;
      }
      this.readable = true;
    } catch (error) {
      if (this.readable) logger.warn({ error }, 'the policy of the model cannot be read; what was read last holds');
      this.readable = false;
    }
  }

  /** What it makes of a model: from which confidence on it answers. */
  applyTo({ calibration }: Pick<Engine, 'calibration'>): Pick<ServedModel, 'abstainBelow' | 'abstention' | 'serving'> {
    const abstention = chooseAbstention(calibration?.riskCurve ?? null, this.serving.targetRisk);
    return { abstainBelow: abstention.threshold, abstention, serving: this.serving };
  }
}
