import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { NativeConnection, Worker } from '@temporalio/worker';
import { retrainingSteps } from '../../contracts/names.js';
import type { RetrainingInput } from '../../contracts/retraining/retraining-pipeline.js';
import { hyperparameters } from '../support/measurements.js';
import { createFakeActivities } from '../support/fake-activities.js';
import { startWorkflowServer, type WorkflowServer } from '../support/workflow-server.js';
import { costOf, knowsCosts } from './processes.js';
import { printTable, timed, type Figure } from './table.js';

const alone = 20;
const atOnce = 500;
const bareQueue = 'bare';

/** Runs a workflow to its end; gives its outcome and its id. */
type Run = (server: WorkflowServer) => Promise<{ outcome: string; workflowId: string }>;

/**
 * What orchestration itself costs: the retraining pipeline with activities that do nothing beside a workflow of as many
 * bare activities, in turns on the same server, on both stores of the server.
 */
export async function benchOrchestration(): Promise<void> {
  const figures: Figure[] = [];
  for (const onDisk of [false, true]) {
    const server = await startWorkflowServer({ onDisk });
    const store = onDisk ? 'store on disk' : 'store in memory';
    try {
      const { activities } = createFakeActivities();
      figures.push(
        ...(await server.withWorkers(activities, () => withBareWorker(server, () => measure(server, store)))),
      );
    } finally {
      await server.stop();
    }
  }
  printTable(`The pipeline with activities that do nothing, beside ${retrainingSteps.length} bare activities`, figures);
}

async function measure(server: WorkflowServer, store: string): Promise<Figure[]> {
  for (const run of [runPipeline, runBare]) await run(server);
  const times: [number[], number[]] = [[], []];
  for (let turn = 0; turn < alone; turn += 1) {
    times[0].push((await timed(() => runPipeline(server)))[1]);
    times[1].push((await timed(() => runBare(server)))[1]);
  }
  const [ours, bare] = times.map(medianOf);
  const many = await runsPerSecond(server, runPipeline);
  const bareMany = await runsPerSecond(server, runBare);
  return [
    {
      what: `one at a time, ${store}, median of ${alone} in turns`,
      value: `${ours?.toFixed(0)} ms a run, bare ${bare?.toFixed(0)} ms`,
      target: 'under 150 ms beside 94 ms',
    },
    {
      what: `${atOnce} at once, ${store}`,
      value: `${many.perSecond.toFixed(1)} runs/s, ${many.lost} lost; bare ${bareMany.perSecond.toFixed(1)} runs/s`,
      target: 'above 12 runs/s beside 20, none lost',
    },
    { what: `CPU time of those, ${store}`, value: `${describeCost(many)}; bare ${describeCost(bareMany)}` },
    { what: `history of a run, ${store}`, value: await describeHistory(server, runPipeline) },
    { what: `history of a bare run, ${store}`, value: await describeHistory(server, runBare) },
  ];
}

interface Throughput {
  perSecond: number;
  lost: number;
  /** Of the server and of this process, which holds the workers and the client. */
  cpuMsPerRun: number;
}

async function runsPerSecond(server: WorkflowServer, run: Run): Promise<Throughput> {
  const spentMs = async (): Promise<number> => (knowsCosts ? (await costOf(process.pid)).cpuMs : NaN);
  const before = await spentMs();
  const [ended, ms] = await timed(() => Promise.all(Array.from({ length: atOnce }, () => run(server))));
  const lost = ended.filter(({ outcome }) => outcome !== 'promoted').length;
  return { perSecond: (1000 * atOnce) / ms, lost, cpuMsPerRun: ((await spentMs()) - before) / atOnce };
}

function describeCost({ cpuMsPerRun }: Throughput): string {
  return Number.isNaN(cpuMsPerRun) ? 'unknown' : `${cpuMsPerRun.toFixed(0)} ms a run`;
}

/** Counts the events of a run and its children. */
async function describeHistory(server: WorkflowServer, run: Run): Promise<string> {
  const { workflowId } = await run(server);
  const count = { workflows: 0, events: 0, workflowTasks: 0, activities: 0 };
  const open = [workflowId];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const { events } = await server.client.workflow.getHandle(id).fetchHistory();
    count.workflows += 1;
    for (const event of events ?? []) {
      count.events += 1;
      if (event.workflowTaskCompletedEventAttributes) count.workflowTasks += 1;
      if (event.activityTaskScheduledEventAttributes) count.activities += 1;
      const child = event.childWorkflowExecutionStartedEventAttributes?.workflowExecution?.workflowId;
      if (child) open.push(child);
    }
  }
  return `${count.events} events, ${count.workflowTasks} workflow tasks and ${count.activities} activities in ${count.workflows} workflow(s)`;
}

async function withBareWorker<T>({ address }: WorkflowServer, work: () => Promise<T>): Promise<T> {
  const connection = await NativeConnection.connect({ address });
  const worker = await Worker.create({
    connection,
    taskQueue: bareQueue,
    workflowsPath: fileURLToPath(new URL('bare-workflow.js', import.meta.url)),
    activities: { nothing: () => Promise.resolve() },
  });
  try {
    return await worker.runUntil(work);
  } finally {
    await connection.close();
  }
}

async function runBare({ client }: WorkflowServer): Promise<{ outcome: string; workflowId: string }> {
  const workflowId = `bare-${randomUUID()}`;
  const options = { workflowId, taskQueue: bareQueue, args: [retrainingSteps.length] };
  await client.workflow.execute('bareSteps', options);
  return { outcome: 'promoted', workflowId };
}

async function runPipeline({ client }: WorkflowServer): Promise<{ outcome: string; workflowId: string }> {
  const input: RetrainingInput = {
    modelName: `m-${randomUUID()}`,
    dataset: 'd',
    trigger: 'manual',
    requestId: randomUUID(),
    source: null,
    hyperparameters,
  };
  const workflowId = `retrain-${input.modelName}`;
  const { outcome } = await client.workflow.execute<(input: RetrainingInput) => Promise<{ outcome: string }>>(
    'retrainingPipeline',
    { workflowId, taskQueue: 'pipeline', args: [input] },
  );
  return { outcome, workflowId };
}

function medianOf(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}
