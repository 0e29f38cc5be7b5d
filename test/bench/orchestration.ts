import { randomUUID } from 'node:crypto';
import { retrainingSteps } from '../../contracts/names.js';
import type { RetrainingInput } from '../../contracts/retraining/retraining-pipeline.js';
import { hyperparameters } from '../support/measurements.js';
import { createFakeActivities } from '../support/fake-activities.js';
import { startWorkflowServer, type WorkflowServer } from '../support/workflow-server.js';
import { printTable, seconds, timed, type Figure } from './table.js';

const alone = 20;
const atOnce = 500;

/** What orchestration itself costs: the retraining pipeline with activities that do nothing, on both stores of the server. */
export async function benchOrchestration(): Promise<void> {
  const figures: Figure[] = [];
  for (const onDisk of [false, true]) {
    const server = await startWorkflowServer({ onDisk });
    try {
      figures.push(...(await measure(server, onDisk ? 'store on disk' : 'store in memory')));
    } finally {
      await server.stop();
    }
  }
  printTable('The pipeline with activities that do nothing', figures);
}

async function measure(server: WorkflowServer, store: string): Promise<Figure[]> {
  return server.withWorkers(createFakeActivities().activities, async () => {
    await run(server);
    const times: number[] = [];
    for (let each = 0; each < alone; each += 1) times.push((await timed(() => run(server)))[1]);
    const median = times.sort((a, b) => a - b)[alone >> 1] ?? NaN;
    const [outcomes, ms] = await timed(() => Promise.all(Array.from({ length: atOnce }, () => run(server))));
    const lost = outcomes.filter((outcome) => outcome !== 'promoted').length;
    const steps = retrainingSteps.length;
    return [
      {
        what: `one at a time, ${store}: overhead per step, median of ${alone} runs of ${steps} steps`,
        value: `${(median / steps).toFixed(0)} ms (${median.toFixed(0)} ms a run)`,
      },
      {
        what: `${atOnce} at once, ${store}`,
        value: `${seconds(ms)}, ${((1000 * atOnce) / ms).toFixed(1)} runs/s, ${(ms / atOnce / steps).toFixed(0)} ms a step, ${lost} lost`,
        target: 'none lost',
      },
    ];
  });
}

async function run({ client }: WorkflowServer): Promise<string> {
  const input: RetrainingInput = {
    modelName: `m-${randomUUID()}`,
    dataset: 'd',
    trigger: 'manual',
    requestId: randomUUID(),
    source: null,
    hyperparameters,
  };
  const { outcome } = await client.workflow.execute<(input: RetrainingInput) => Promise<{ outcome: string }>>(
    'retrainingPipeline',
    { workflowId: `retrain-${input.modelName}`, taskQueue: 'pipeline', args: [input] },
  );
  return outcome;
}
