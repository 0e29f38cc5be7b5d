import { randomUUID } from 'node:crypto';
import { retrainingPolicySchema } from '../../../../contracts/promotion/policy.js';
import { retrainingWorkflowId } from '../../../../contracts/names.js';
import type { RetrainingInputs, RetrainingKind } from '../../../../contracts/retraining/retraining.js';
import { decideRetraining, metricsOf } from '../../../../domain/retraining/retraining-decision.js';
import { createAuditStore } from '../../../../stores/audit/audit.js';
import { createNotificationStore } from '../../../../stores/notifications/notifications.js';
import { createPipelineStore } from '../../../../stores/pipelines/pipelines.js';
import { createRegistryStore } from '../../../../stores/registry/registry.js';
import {
  createRetrainingDecisions,
  type RetrainingDecision,
  type RetrainingDecisions,
} from '../../../../stores/retraining/retraining-decisions.js';
import { statistics, unfenced } from '../../../support/measurements.js';
import { newVersionOf } from '../../../support/registry-records.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';

let records: TestDatabase;
let decisions: RetrainingDecisions;
beforeAll(async () => {
  records = await startTestDatabase();
  decisions = createRetrainingDecisions(records.db);
});
afterAll(() => records.stop());

const facts: RetrainingInputs = {
  policy: retrainingPolicySchema.parse({}),
  dataset: 'flowers',
  production: null,
  feedback: { labelled: 0, accuracy: null, interval: null },
  data: { datasetVersion: 4, images: 100, newImages: 60, newShare: 0.6, statistics },
};

const by = { name: 'test', via: 'schedule', from: 'workflow', requestId: null } as const;

function decide(
  modelName: string,
  kind: RetrainingKind = 'continuous_training',
  requestId: string = randomUUID(),
  known: RetrainingInputs = facts,
): Promise<RetrainingDecision> {
  const request = { requestId, modelName, dataset: 'flowers', kind, by, scheduledFor: null, metrics: metricsOf(known) };
  const trigger = kind === 'manual' ? 'manual' : 'schedule';
  return decisions.decide(request, (standing) => decideRetraining({ kind, trigger, inputs: known, state: standing }));
}

async function open(modelName: string, runId: string = randomUUID()): Promise<string> {
  await createPipelineStore(records.db).open({
    runId,
    workflowId: retrainingWorkflowId(modelName),
    workflow: 'retrainingPipeline',
    trigger: 'schedule',
    modelName,
    dataset: 'flowers',
    steps: [],
  });
  return runId;
}

/** A decision to retrain whose run ended with this status. */
async function retrained(modelName: string, result: object): Promise<void> {
  const { requestId, decision } = await decide(modelName);
  expect(decision).toBe('retrain');
  const runId = await open(modelName);
  await decisions.started(requestId, { runId, joined: false });
  await createPipelineStore(records.db).close(runId, { status: 'completed', result });
}

describe('decisions on retrainings', () => {
  it('let one of many concurrent requests retrain and report to the others that it is running', async () => {
    // Opens every connection first, so that no request waits for one.
    await Promise.all(Array.from({ length: 10 }, () => records.db.query('SELECT pg_sleep(0.1)')));
    const kinds = ['continuous_training', 'mlops_retraining_pipeline'] as const;
    const made = await Promise.all(Array.from({ length: 20 }, (_, index) => decide('raced', kinds[index % 2])));
    expect(made.filter(({ decision }) => decision === 'retrain')).toHaveLength(1);
    expect(made.filter(({ skippedBecause }) => skippedBecause === 'already_running')).toHaveLength(19);
  });

  it('are made once for each request, with one audit row', async () => {
    const requestId = randomUUID();
    const made = await Promise.all([1, 2, 3].map(() => decide('repeated', 'continuous_training', requestId)));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    expect(made[0]).toMatchObject({ decision: 'retrain', trigger: 'new_data', requestedBy: 'test' });
    const audit = await createAuditStore(records.db).list({ limit: 10, subject: 'models/repeated/retraining' });
    expect(audit.items).toMatchObject([{ action: 'retraining.trigger', via: 'schedule' }]);
  });

  it('see a run that was started elsewhere, and ignore it once it has ended', async () => {
    const runId = await open('elsewhere');
    expect(await decide('elsewhere')).toMatchObject({ skippedBecause: 'already_running' });
    expect((await decisions.state('elsewhere')).running).toEqual({ runId });
    await createPipelineStore(records.db).close(runId, { status: 'failed' });
    expect(await decide('elsewhere')).toMatchObject({ decision: 'retrain' });
  });

  it('do not wait for a run that could not be started, and not permanently for one without a row', async () => {
    const { requestId } = await decide('unstarted');
    await decisions.notStarted(requestId, 'Temporal refused');
    await decisions.notStarted(requestId, 'Temporal refused');
    const messages = await records.db.query(`SELECT payload FROM outbox WHERE kind = 'retraining.unstarted'`);
    expect(messages).toEqual([{ payload: { modelName: 'unstarted', reason: 'Temporal refused' } }]);
    expect(await decide('unstarted')).toMatchObject({ decision: 'retrain' });
    expect(await decide('unstarted')).toMatchObject({ skippedBecause: 'already_running' });
    await records.db.query(
      `UPDATE retraining_decisions SET created_at = now() - interval '11 minutes' WHERE model_name = 'unstarted'`,
    );
    expect(await decide('unstarted')).toMatchObject({ skippedBecause: 'cool_down' });
  });

  it('skip during the cool-down, and after it for data whose model was refused', async () => {
    await retrained('cooling', { outcome: 'refused', datasetVersion: 4 });
    // Both are reasons to skip; unchanged data is the one reported.
    expect(await decide('cooling', 'mlops_retraining_pipeline')).toMatchObject({ skippedBecause: 'cool_down' });
    expect(await decide('cooling')).toMatchObject({ skippedBecause: 'nothing_changed' });
    expect(await decide('cooling', 'manual')).toMatchObject({ decision: 'retrain' });
  });

  it('add one notification about a version that performs badly, also when they skip', async () => {
    const worse: RetrainingInputs = {
      ...facts,
      production: { version: 7, testAccuracy: 0.95, hyperparameters: null },
      feedback: { labelled: 100, accuracy: 0.6, interval: [0.5, 0.69] },
    };
    expect(await decide('degraded', 'continuous_training', randomUUID(), worse)).toMatchObject({ decision: 'retrain' });
    expect(await decide('degraded', 'continuous_training', randomUUID(), worse)).toMatchObject({ decision: 'skip' });
    const { items } = await createNotificationStore(records.db).list({ limit: 10, kind: 'model.degraded' });
    expect(items).toMatchObject([{ payload: { modelName: 'degraded', version: 7, figure: 0.6, threshold: 0.85 } }]);
  });

  it('wait while a version waits for approval', async () => {
    await records.db.query(`INSERT INTO models (name) VALUES ('waiting')`);
    await records.db.query(
      `INSERT INTO approvals (idempotency_key, model_name, version, workflow_id, pipeline_run_id, requested_by, summary,
         on_expiry, expires_at)
       VALUES ('k', 'waiting', 1, 'w', 'r', 'test', 's', 'reject', now() + interval '1 hour')`,
    );
    expect(await decide('waiting')).toMatchObject({ skippedBecause: 'awaiting_approval' });
  });

  it('wait while the model is retired, unless a person asks', async () => {
    const registry = createRegistryStore(records.db);
    await registry.register(newVersionOf('retired'));
    const change = { modelName: 'retired', reason: 'x', ...unfenced };
    await registry.promote({ ...change, version: 1, idempotencyKey: 'retired-1' });
    await registry.retire({ ...change, idempotencyKey: 'retired-2' });
    expect(await decide('retired')).toMatchObject({ skippedBecause: 'model_retired' });
    expect(await decide('retired', 'manual')).toMatchObject({ decision: 'retrain' });
  });

  it('are listed newest first with how their runs ended, page by page, and counted', async () => {
    const before = await decisions.counts();
    await retrained('listed', { outcome: 'promoted', summary: 'better', datasetVersion: 4 });
    await decide('listed', 'mlops_retraining_pipeline');
    const first = await decisions.list({ limit: 1, modelName: 'listed' });
    expect(first.items).toMatchObject([{ skippedBecause: 'cool_down', status: null }]);
    const second = await decisions.list({ limit: 1, modelName: 'listed', pageToken: first.nextPageToken });
    expect(second.items).toMatchObject([{ decision: 'retrain', status: 'completed', outcome: 'promoted' }]);
    expect(second.nextPageToken).toBeNull();
    const after = await decisions.counts();
    expect(after.runs['promoted']).toBe((before.runs['promoted'] ?? 0) + 1);
    expect(after.skipped['cool_down']).toBe((before.skipped['cool_down'] ?? 0) + 1);
  });
});
