import { retrainingSteps, retrainingWorkflowId, workflowTypes } from '../../contracts/names.js';
import type { RetrainingInput } from '../../contracts/retraining/retraining-pipeline.js';
import type {
  DecisionInput,
  DecisionRequest,
  RetrainingInputs,
  RetrainingMetrics,
  RetrainingVerdict,
} from '../../contracts/retraining/retraining.js';
import { hyperparametersSchema, type Hyperparameters } from '../../contracts/training/training.js';
import type { RunStarter, StartedRun } from '../../platform/temporal/run-starter.js';
import type { RetrainingDecision, RetrainingDecisions } from './retraining-decisions.js';
import type { RetrainingInputStore } from './retraining-inputs.js';

export interface OrderRequest extends Omit<DecisionRequest, 'metrics' | 'dataset'> {
  /** Null means the one that the model in Production was trained on. */
  dataset: string | null;
  trigger: DecisionInput['trigger'];
  /** Sentences that are added to the reason. */
  notes?: readonly string[];
}

export interface OrderOptions {
  source: RetrainingInput['source'];
  /** Null means those of the model in Production. */
  hyperparameters: Hyperparameters | null;
}

export interface OrderDecision {
  decision: RetrainingDecision;
  /** Those of the model in Production, or the defaults; read together with the inputs of the decision. */
  hyperparameters: Hyperparameters;
}

/** Retrainings on request of a client or of a schedule. */
export interface RetrainingOrders {
  /** Decides once for each request id; a repeated request gets the decision that was made before. */
  decide(request: OrderRequest): Promise<OrderDecision>;
  /**
   * Starts the run of a decision, or joins the one under way with the same inputs, and records it; a repetition joins the
   * recorded run. Throws `run_in_progress` while a run with other inputs is under way.
   */
  start(decision: RetrainingDecision, options?: OrderOptions): Promise<StartedRun>;
}

/** Rules of the domain: the decision, and the metrics that are stored with it. */
export interface RetrainingRules {
  judge(input: DecisionInput): RetrainingVerdict;
  metricsOf(inputs: RetrainingInputs): RetrainingMetrics;
}

export interface RetrainingOrdersOptions {
  decisions: Pick<RetrainingDecisions, 'decide' | 'started'>;
  facts: Pick<RetrainingInputStore, 'read'>;
  starter: RunStarter;
  /** Dataset of models that have none of their own yet. */
  datasetName: string;
}

export function createRetrainingOrders(
  { decisions, facts, starter, datasetName }: RetrainingOrdersOptions,
  { judge, metricsOf }: RetrainingRules,
): RetrainingOrders {
  const inputsOf = (modelName: string, dataset: string | null): Promise<RetrainingInputs> =>
    facts.read({ modelName, dataset, fallback: datasetName });
  return {
    async decide({ notes = [], dataset, ...request }) {
      const { kind, trigger, modelName } = request;
      const found = await inputsOf(modelName, dataset);
      const decision = await decisions.decide(
        { ...request, dataset: found.dataset, metrics: metricsOf(found) },
        (state) => {
          const verdict = judge({ kind, trigger, inputs: found, state });
          return { ...verdict, reason: [verdict.reason, ...notes].join(' ') };
        },
      );
      return { decision, hyperparameters: hyperparametersOf(found) };
    },
    async start({ modelName, dataset, trigger, requestId, runId }, options) {
      const workflowId = retrainingWorkflowId(modelName);
      if (runId !== null) return { workflowId, runId, joined: true };
      const hyperparameters = options?.hyperparameters ?? hyperparametersOf(await inputsOf(modelName, dataset));
      const source = options?.source ?? null;
      const input: RetrainingInput = { modelName, dataset, trigger, requestId, source, hyperparameters };
      const run = await starter.start({
        ...input,
        workflow: workflowTypes.retrainingPipeline,
        workflowId,
        steps: retrainingSteps,
        input,
        wishes: { dataset, source, hyperparameters },
      });
      await decisions.started(requestId, run);
      return run;
    },
  };
}

function hyperparametersOf({ production }: RetrainingInputs): Hyperparameters {
  return production?.hyperparameters ?? hyperparametersSchema.parse({});
}
