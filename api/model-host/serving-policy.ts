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
 * Polls the serving policy of a model: target risk, image capture. If it cannot be read, the last value stays.
 */
export class ServingPolicyPoller {
  /** The same object while it does not change. */
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
      if (this.readable) logger.warn({ error }, 'the policy of the model cannot be read; the last value stays');
      this.readable = false;
    }
  }

  /** Applies the policy to a model: its abstention threshold. */
  applyTo({ calibration }: Pick<Engine, 'calibration'>): Pick<ServedModel, 'abstainBelow' | 'abstention' | 'serving'> {
    const abstention = chooseAbstention(calibration?.riskCurve ?? null, this.serving.targetRisk);
    return { abstainBelow: abstention.threshold, abstention, serving: this.serving };
  }
}
