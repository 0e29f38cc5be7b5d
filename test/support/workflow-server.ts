import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { taskQueues } from '../../contracts/names.js';
import { pipelineLimits } from '../../workers/pipeline-options.js';
import { bundlePath } from '../../workflows/bundle/path.js';
import type { AllActivities } from './fake-activities.js';
import { startTemporal } from './services.js';
import { stepWriter } from './step-writer.js';

export interface WorkflowServer {
  client: Client;
  address: string;
  /** Runs `work` while workers with these activities poll both queues, with or without recorded attempts. */
  withWorkers<T>(
    activities: AllActivities,
    work: () => Promise<T>,
    interceptors?: Pick<NonNullable<WorkerOptions['interceptors']>, 'activity'>,
  ): Promise<T>;
  stop(): Promise<void>;
}

/** A separate, real Temporal server for one test file, with the built workflow bundle. */
export async function startWorkflowServer({ onDisk = false } = {}): Promise<WorkflowServer> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const temporal = await startTemporal({ onDisk });
  const { address } = temporal;
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  return {
    client: new Client({ connection }),
    address,
    async withWorkers(activities, work, interceptors = {}) {
      const workflowBundle = { codePath: bundlePath };
      const shared = {
        connection: native,
        activities,
        interceptors: { activity: [stepWriter(activities), ...(interceptors.activity ?? [])] },
      };
      const pipeline = await Worker.create({
        ...shared,
        taskQueue: taskQueues.pipeline,
        workflowBundle,
        ...pipelineLimits,
      });
      const training = await Worker.create({ ...shared, taskQueue: taskQueues.training });
      return pipeline.runUntil(() => training.runUntil(work));
    },
    async stop() {
      await connection.close();
      await native.close();
      await temporal.stop();
    },
  };
}
