import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { ingestionResultViewSchema, type IngestionResultView } from '../../../contracts/datasets/http-datasets.js';
import { decisionViewOfRetrainingSchema } from '../../../contracts/retraining/http-retraining.js';
import { pageOf } from '../../../contracts/http/page.js';
import { acceptedSchema } from '../../../contracts/workflows/accepted.js';
import type { IngestionResult } from '../../../contracts/datasets/ingestion.js';
import type { AllActivities } from '../../support/fake-activities.js';
import { createApiClient, type ApiClient } from '../../support/api-client.js';
import { startAutomationFixture, type AutomationFixture } from '../../support/automation-fixture.js';
import { ingestionResultOf } from '../../support/measurements.js';
import { newVersionOf } from '../../support/registry-records.js';
import { textMatching } from '../../support/text-matching.js';
import { createRequests } from '../../support/requests.js';

let fixture: AutomationFixture;
beforeAll(async () => {
  fixture = await startAutomationFixture();
});
afterAll(() => fixture.stop());

const { answer, problem, ask } = createRequests(() => fixture.served.url);
const path = '/api/v1/pipelines/ingestion';

interface Names {
  model: string;
  dataset: string;
}

async function newNames(): Promise<Names> {
  const names = { model: `m${randomUUID()}`, dataset: `d${randomUUID()}` };
  await fixture.addDataset(names.dataset, 20);
  await fixture.served.api.database.query('INSERT INTO models (name) VALUES ($1)', [names.model]);
  return names;
}

/** Ingests with `then_train`, once `before` is done; returns what became of it. */
async function ingest(
  { model, dataset }: Names,
  { before, after, ...replaced }: Partial<AllActivities> & { before?: () => Promise<unknown>; after?: () => void } = {},
): Promise<IngestionResultView['training']> {
  const commitDatasetVersion = (): Promise<IngestionResult> => Promise.resolve(ingestionResultOf(dataset));
  const end = await fixture.withWorkers(
    async () => {
      await before?.();
      const body = { dataset, source: { kind: 'synthetic' }, then_train: true, model_name: model };
      const started = acceptedSchema.parse(await (await ask(path, { method: 'POST', body })).json());
      return client().ended(started.run_id).finally(after);
    },
    { ...replaced, commitDatasetVersion },
  );
  expect(end.status).toBe('completed');
  return ingestionResultViewSchema.parse(end.result).training;
}

const client = (): ApiClient => createApiClient(fixture.served.url);

const decisionSchema = pageOf(decisionViewOfRetrainingSchema);
const decisionsOf = (model: string): Promise<z.output<typeof decisionSchema>> =>
  answer(decisionSchema, `/api/v1/mlops/retraining/history?model=${model}`);

describe('an ingestion with then_train', () => {
  it('starts one retraining of the model on its dataset, and names the run', async () => {
    const names = await newNames();
    const training = await ingest(names);
    expect(training).toMatchObject({ model_name: names.model, joined: false });
    const { items } = await decisionsOf(names.model);
    expect(items).toMatchObject([{ requested_by: 'ingestDataset', run: { run_id: training?.run_id } }]);
  });

  it('starts nothing for a version that the model was trained on, and says so', async () => {
    const { model, dataset } = await newNames();
    await fixture.served.registry.register(newVersionOf(model, { dataset, datasetVersion: 1 }));
    const training = await ingest({ model, dataset });
    expect(training).toMatchObject({ run_id: null, reason: textMatching(/was trained on version 1/) });
    expect((await decisionsOf(model)).items).toEqual([]);
  });

  /** Starts a retraining that `activity` holds until the ingestion is over, and waits until it has come to the step. */
  async function during(
    step: string,
    hold: (held: Promise<never>) => Partial<AllActivities>,
  ): Promise<{ run_id: string; training: IngestionResultView['training'] }> {
    const names = await newNames();
    let release = (): void => undefined;
    const held = new Promise<never>((_resolve, reject) => {
      release = () => reject(new Error('released'));
    });
    held.catch(() => undefined);
    const { model, dataset } = names;
    const body = { model_name: model, dataset };
    const { run_id } = await client().startRetraining(body);
    const training = await ingest(names, {
      ...hold(held),
      before: () => client().reached(run_id, step),
      after: () => release(),
    });
    return { run_id, training };
  }

  it('joins a retraining that has not taken its data yet', async () => {
    const { run_id, training } = await during('check_new_data', (held) => ({ checkNewData: () => held }));
    expect(training).toMatchObject({ run_id, joined: true });
  });

  it('starts nothing while a retraining is under way that has taken its data, and names it', async () => {
    const { run_id, training } = await during('prepare_training_data', (held) => ({ sourcesToRescan: () => held }));
    expect(training).toMatchObject({ run_id: null, joined: false });
    expect(training?.reason).toContain(`run ${run_id} is in progress and has taken its data`);
  });

  it('is not told a model without it', async () => {
    const body = { source: { kind: 'synthetic' }, model_name: 'roses' };
    expect(await problem(path, { method: 'POST', body })).toMatchObject({ status: 400, code: 'bad_request' });
  });
});
