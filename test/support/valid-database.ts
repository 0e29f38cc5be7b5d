import { z } from 'zod';
import { errorTable } from '../../contracts/errors.js';
import { workflowTypes } from '../../contracts/names.js';
import { datasetDigest } from '../../domain/datasets/dataset-digest.js';
import { timestampColumn } from '../../stores/postgres/columns.js';
import type { Database, Queryable } from '../../stores/postgres/database.js';
import { createDatasetStore } from '../../stores/datasets/datasets.js';
import { poll } from './api-client.js';

const pipelineRow = z.object({
  runId: z.string(),
  workflow: z.string(),
  status: z.string(),
  errorCode: z.string().nullable(),
  trainingRun: z.string().nullable(),
  endedAt: timestampColumn.nullable(),
});
export type EndedPipeline = z.output<typeof pipelineRow>;

/** Asserts the invariants of the database while no run is in progress; returns all runs. */
export async function expectValidDatabase(db: Database): Promise<EndedPipeline[]> {
  const pipelines = await db.rows(
    pipelineRow,
    `SELECT *, result ->> 'runId' AS training_run FROM pipelines ORDER BY sequence`,
    [],
  );
  expectEnded(pipelines);
  await expectTrainingsRegisteredOnce(db, pipelines);
  await expectMessagesOnce(db, pipelines);
  await expectValidDatasets(db);
  return pipelines;
}

function expectEnded(pipelines: readonly EndedPipeline[]): void {
  const named = Object.keys(errorTable).filter((code) => code !== 'internal');
  for (const { status, errorCode } of pipelines) {
    if (status === 'completed') expect(errorCode).toBeNull();
    else expect(['failed', ...named]).toEqual(expect.arrayContaining([status, errorCode]));
  }
}

async function expectTrainingsRegisteredOnce(db: Queryable, pipelines: readonly EndedPipeline[]): Promise<void> {
  const column = (sql: string): Promise<string[]> => texts(db, sql);
  expect(await column(`SELECT run_id AS text FROM runs WHERE status = 'running'`)).toEqual([]);
  expect(await column('SELECT run_id AS text FROM checkpoints')).toEqual([]);
  const registered = await column('SELECT run_id AS text FROM model_versions ORDER BY run_id');
  expect(await column(`SELECT run_id AS text FROM runs WHERE status = 'completed' ORDER BY run_id`)).toEqual(
    registered,
  );
  const audited = `SELECT after ->> 'run_id' AS text FROM audit_log WHERE action = 'version.register' ORDER BY text`;
  expect(await column(audited)).toEqual(registered);
  const trained = completedRetrainings(pipelines).map(({ trainingRun }) => trainingRun);
  expect(new Set(trained).size).toBe(trained.length);
  expect(registered).toEqual(expect.arrayContaining(trained));
}

function completedRetrainings(pipelines: readonly EndedPipeline[]): EndedPipeline[] {
  return pipelines.filter(
    ({ workflow, status }) => workflow === workflowTypes.retrainingPipeline && status === 'completed',
  );
}

/** Each failed run and each retraining has one notification, which was sent once over each channel. */
async function expectMessagesOnce(db: Queryable, pipelines: readonly EndedPipeline[]): Promise<void> {
  const notified = await texts(
    db,
    `SELECT key AS text FROM outbox WHERE starts_with(kind, 'retraining.') OR kind = 'pipeline.failed' ORDER BY key`,
  );
  const failed = pipelines.filter(({ status }) => status === 'failed').map(({ runId }) => `pipeline-failed-${runId}`);
  const retrained = completedRetrainings(pipelines).map(({ trainingRun }) => `notify-${String(trainingRun)}`);
  expect(notified).toEqual([...failed, ...retrained].sort());
  const unsent = `SELECT outbox.key AS text FROM outbox LEFT JOIN deliveries ON message_id = outbox.id
    WHERE deliveries.status IS DISTINCT FROM 'sent'`;
  expect(
    await poll(
      () => texts(db, unsent),
      ({ length }) => length === 0,
    ),
  ).toEqual([]);
}

const versionRow = z.object({ dataset: z.string(), version: z.number(), digest: z.string() });

/** Versions are numbered without gaps, each matches its digest, and no image changed its split. */
async function expectValidDatasets(db: Database): Promise<void> {
  expect(await texts(db, `SELECT id AS text FROM ingestions WHERE status = 'running'`)).toEqual([]);
  const versions = await db.rows(versionRow, 'SELECT * FROM dataset_versions ORDER BY dataset, version', []);
  const numbers = new Map<string, number>();
  for (const { dataset, version, digest } of versions) {
    expect(version).toBe((numbers.get(dataset) ?? 0) + 1);
    numbers.set(dataset, version);
    expect(datasetDigest(await createDatasetStore(db).examples(dataset, version))).toBe(digest);
  }
  const strayed = `SELECT e.sha256 AS text FROM dataset_examples e JOIN image_sides s USING (dataset, sha256)
    WHERE e.side <> s.side`;
  expect(await texts(db, strayed)).toEqual([]);
}

async function texts(db: Queryable, sql: string): Promise<string[]> {
  return (await db.rows(z.object({ text: z.string() }), sql, [])).map(({ text }) => text);
}
