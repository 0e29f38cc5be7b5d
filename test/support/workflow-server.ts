import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { taskQueues } from '../../contracts/names.js';
import { bundlePath } from '../../workflows/bundle/path.js';
import type { AllActivities } from './fake-activities.js';
import { startTemporal } from './services.js';

export interface WorkflowServer {
  client: Client;
  /** Runs `work` while workers with these activities poll both queues. */
  withWorkers<T>(activities: AllActivities, work: () => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

/** A real Temporal server of its own for one test file, with the built workflow bundle. */
export async function startWorkflowServer(): Promise<WorkflowServer> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const temporal = await startTemporal();
  const { address } = temporal;
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  const createWorker = (taskQueue: string, activities: AllActivities): Promise<Worker> =>
    Worker.create({ connection: native, taskQueue, activities, workflowBundle: { codePath: bundlePath } });
  return {
    client: new Client({ connection }),
    async withWorkers(activities, work) {
      const workers = await Promise.all(Object.values(taskQueues).map((queue) => createWorker(queue, activities)));
      const [first, second] = workers;
      if (!first || !second) throw new Error('two queues are expected');
      return first.runUntil(() => second.runUntil(work));
    },
    async stop() {
      await connection.close();
      await native.close();
      await temporal.stop();
    },
  };
}
