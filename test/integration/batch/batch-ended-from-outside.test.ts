import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import { Client, Connection } from '@temporalio/client';
import { batchPredictionViewSchema } from '../../../contracts/batch-predictions/http-batch-predictions.js';
import { pipelineSchema } from '../../../contracts/pipelines/http-pipelines.js';
import { pageOf } from '../../../contracts/http/page.js';
import { problemSchema } from '../../../contracts/http/problem.js';
import { batchWorkflowId } from '../../../contracts/names.js';
import { poll } from '../../support/api-client.js';
import { startBatchFixture, type BatchView, type BatchFixture } from '../../support/batch-fixture.js';
import type { AllActivities } from '../../support/fake-activities.js';
import { redImage } from '../../support/served-api.js';

const path = '/api/v1/batch-predictions';
const source = { kind: 'prefix', prefix: 'some/' };

describe('a batch prediction whose workflow is ended from outside', () => {
  let fixture: BatchFixture;
  let connection: Connection;
  let client: Client;

  beforeAll(async () => {
    fixture = await startBatchFixture();
    connection = await Connection.connect({ address: fixture.environment['TEMPORAL_ADDRESS'] ?? '' });
    client = new Client({ connection });
    for (const name of ['a', 'b', 'c']) await fixture.served.api.objects.put(`some/${name}.png`, await redImage());
    await fixture.served.promote(await fixture.served.registerTiny());
  });
  afterAll(async () => {
    await connection.close();
    await fixture.stop();
  });

  /** A job that a worker has started and whose first chunk never ends. */
  const stuck = async (): Promise<BatchView> => {
    // Ends with its worker.
    const predictBatchChunk: AllActivities['predictBatchChunk'] = () => Context.current().cancelled;
    await fixture.startWorker((activities) => ({ ...activities, predictBatchChunk }));
    const { id } = await fixture.started({ source });
    const job = await fixture.reached(id, ({ status, total }) => status === 'running' && total !== null);
    await fixture.stopWorker();
    return job;
  };

  const listed = async (status: string): Promise<string[]> => {
    const answer = await fetch(`${fixture.served.url}${path}?status=${status}`);
    return pageOf(batchPredictionViewSchema)
      .parse(await answer.json())
      .items.map(({ id }) => id);
  };

  it('is shown as ended when it is read, with what happened and what to do, also in its pipeline', async () => {
    const { id, pipeline_url: pipelineUrl } = await stuck();
    await client.workflow.getHandle(batchWorkflowId(id)).terminate('a person did it');
    const job = await fixture.ended(id);
    expect(job).toMatchObject({ status: 'cancelled', done: 0, total: 3, error: { code: 'cancelled' } });
    expect(job.ended_at).not.toBeNull();
    expect(job.error?.message).toMatch(/terminated.*Start another.*new Idempotency-Key/s);
    const pipeline = pipelineSchema.parse(await (await fetch(fixture.served.url + (pipelineUrl ?? ''))).json());
    expect(pipeline).toMatchObject({ status: 'cancelled', error: { message: job.error?.message } });
    const cancelled = await fetch(`${fixture.served.url}${path}/${id}/cancel`, { method: 'POST' });
    expect(problemSchema.parse(await cancelled.json()).code).toBe('conflict');
    expect((await fetch(`${fixture.served.url}${path}/${id}/results.csv`)).status).toBe(404);
  });

  it('is shown as ended when it is listed, also when its history was deleted', async () => {
    const { id } = await stuck();
    expect(await listed('running')).toEqual([id]);
    await client.workflowService.deleteWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: batchWorkflowId(id) },
    });
    await poll(
      () => listed('running'),
      (ids) => ids.length === 0,
    );
    expect(await listed('cancelled')).toContain(id);
  });

  it('is shown as ended when no worker had started it', async () => {
    const { id } = await fixture.started({ source });
    await client.workflow.getHandle(batchWorkflowId(id)).terminate();
    expect(await fixture.ended(id)).toMatchObject({ status: 'cancelled', total: null, started_at: null });
  });

  it('has failed, with a notification, when its workflow timed out', async () => {
    const { database } = fixture.served.api;
    const { id: pattern } = await fixture.started({ source });
    const id = randomUUID();
    const { firstExecutionRunId } = await client.workflow.start('batchPredict', {
      workflowId: batchWorkflowId(id),
      taskQueue: 'nobody-is-there',
      args: [],
      workflowExecutionTimeout: '1 s',
    });
    await database.query(
      `INSERT INTO batch_predictions (id, model_name, job_order, request, started_by, workflow_id, run_id, created_at)
       SELECT $2, model_name, job_order, request, started_by, $3, $4, now() - interval '1 minute'
       FROM batch_predictions WHERE id = $1`,
      [pattern, id, batchWorkflowId(id), firstExecutionRunId],
    );
    const job = await fixture.ended(id);
    expect(job).toMatchObject({ status: 'failed', error: { code: 'internal' } });
    expect(job.error?.message).toContain('closed as timed out');
    const told = await database.query(`SELECT payload ->> 'batchId' AS id FROM outbox WHERE kind LIKE '%failed'`);
    expect(told).toEqual([{ id }]);
  });

  it('does not block another one', async () => {
    await fixture.startWorker();
    const { id } = await fixture.started({ source });
    expect(await fixture.ended(id)).toMatchObject({ status: 'completed', done: 3, error: null });
    await fixture.stopWorker();
  });

  it('is shown as running while Temporal cannot say whether it has ended', async () => {
    const { id } = await fixture.started({ source });
    await fixture.served.api.database.query(
      `UPDATE batch_predictions SET created_at = created_at - interval '1 hour' WHERE id = $1`,
      [id],
    );
    expect((await fixture.job(id)).status).toBe('waiting');
    await fixture.temporal.pause();
    expect((await fixture.job(id)).status).toBe('waiting');
    expect(await listed('waiting')).toEqual([id]);
  });
});
