import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { predictionSchema } from '../../../../contracts/inference/http-predict.js';
import { lineageViewSchema } from '../../../../contracts/predictions/http-predictions.js';
import type { ModelVersion } from '../../../../contracts/registry/registry.js';
import { startLineageFixture, type LineageFixture } from '../../../support/lineage-fixture.js';
import { decisionOf, unfenced } from '../../../support/measurements.js';
import { curator } from '../../../support/registry-records.js';
import { formWith, redImage, serves } from '../../../support/served-api.js';

const modelName = 'dandelion_grass_classifier';
let lineage: LineageFixture;
let versions: ModelVersion[];
/** Predictions, each made while something else had put its version into Production. */
const ids: string[] = [];

beforeAll(async () => {
  lineage = await startLineageFixture();
  versions = [await lineage.train('flowers', { dandelion: 8, grass: 8 })];
  await predict();
  for (let more = 0; more < 2; more += 1) {
    versions.push(await lineage.trainOn('flowers'));
    await predict();
  }
}, 60_000);
afterAll(() => lineage.stop());

const [first, second, third] = [0, 1, 2].map((index) => (): ModelVersion => {
  const version = versions[index];
  if (!version) throw new Error(`version ${index + 1} was not trained`);
  return version;
});
if (!first || !second || !third) throw new Error('three versions');

async function predict(): Promise<string> {
  const body = formWith('file', await redImage());
  const response = await fetch(`${lineage.served.url}/predict`, { method: 'POST', body });
  const { prediction_id: id } = predictionSchema.parse(await response.json());
  ids.push(id);
  return id;
}

async function lineageOf(id: string): Promise<z.infer<typeof lineageViewSchema>> {
  const response = await fetch(`${lineage.served.url}/api/v1/predictions/${id}/lineage?verify=true`);
  return lineageViewSchema.parse(await response.json());
}

/** What is wrong in the lineage of every prediction so far. */
async function faults(): Promise<unknown[]> {
  const views = await Promise.all(ids.map(lineageOf));
  return views.flatMap(({ verified, edges }) => {
    const failed = edges.filter(({ state }) => state === 'failed').map(({ relation, detail }) => [relation, detail]);
    return verified ? failed : [['not verified'], ...failed];
  });
}

async function post(path: string, body: unknown): Promise<void> {
  const response = await fetch(lineage.served.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (response.status >= 300) throw new Error(`${path}: ${await response.text()}`);
}
const model = `/api/v1/mlops/models/${modelName}`;
const erase = (kind: string, id: string): Promise<void> => post('/api/v1/erasures', { kind, id, reason: 'asked for' });

async function restaged({ version }: ModelVersion): Promise<void> {
  await post(`${model}/versions/${version}/stage`, { stage: 'Staging', reason: 'again' });
}

async function rolledBack(serving: ModelVersion, to: { version?: number } = {}): Promise<void> {
  await post(`${model}/rollback`, { reason: 'worse', ...to });
  await serves(lineage.served, serving);
  await predict();
}

/** Runs a change of a row, and the change that takes it back afterwards. */
async function tampered(change: string, back: string, look: () => Promise<void>): Promise<void> {
  const { database } = lineage.served.api;
  await database.query(change);
  try {
    await look();
  } finally {
    await database.query(back);
  }
}

describe('the lineage of every prediction so far is verified', () => {
  it('after a rollback, a rollback of that, and one to a version by its number', async () => {
    await rolledBack(second());
    await rolledBack(first());
    await rolledBack(third(), { version: third().version });
    expect(await faults()).toEqual([]);
  });

  it('after a validation alone, and after other versions were archived or moved', async () => {
    await lineage.served.registry.recordDecision(modelName, third().version, decisionOf('refuse'));
    await lineage.served.registry.recordDecision(modelName, first().version, decisionOf('promote'));
    await restaged(second());
    await post(`${model}/versions/${second().version}/stage`, { stage: 'Archived', reason: 'old' });
    expect(await faults()).toEqual([]);
  });

  it('after a retirement, and after the promotion that ends it', async () => {
    await post(`${model}/retire`, { reason: 'no longer used' });
    await serves(lineage.served, null);
    expect(await faults()).toEqual([]);
    await restaged(third());
    await lineage.served.promote(third());
    await serves(lineage.served, third());
    await predict();
    expect(await faults()).toEqual([]);
  });

  it('after a promotion by the policy of the model for an approval that expired', async () => {
    await restaged(first());
    const idempotencyKey = randomUUID();
    const { approvals } = lineage.served.api.stores;
    const asked = { workflowId: 'w', pipelineRunId: randomUUID(), requestedBy: 'ada', summary: 's', decision: null };
    const request = { modelName, version: first().version, idempotencyKey };
    await approvals.open({ ...request, ...asked, onExpiry: 'promote', waitMs: 1 });
    await approvals.close({ idempotencyKey, outcome: 'expired', by: curator, comment: null });
    await lineage.served.registry.promote({ ...request, reason: 'expired', ...unfenced });
    await serves(lineage.served, first());
    await predict();
    expect(await faults()).toEqual([]);
  });
});

describe('the lineage names exactly the rows that were changed', () => {
  it.each([
    [
      'made_by',
      'predictions',
      'bundle_sha256',
      `'other'`,
      /^The rows disagree on the bundle that predicted: other and /,
    ],
    [
      'served_since',
      'promotions',
      'version',
      `$other`,
      /^The rows disagree on the version that was put in Production: /,
    ],
    ['trained_by', 'runs', 'weights_sha256', `'other'`, /^The rows disagree on the weights of the run: other and /],
    ['ran_code', 'runs', 'code_revision', `'other'`, /^The rows disagree on the code revision: other and /],
    ['trained_on', 'dataset_versions', 'digest', `'other'`, /the dataset other, the model [0-9a-f]{64}\.$/],
    [
      'approved_by',
      'approvals',
      'outcome',
      `'rejected'`,
      /^The rows disagree on the outcome: rejected and approved\.$/,
    ],
  ])('of %s: %s', async (relation, table, column, value, says) => {
    const id = ids.at(-1) ?? '';
    const other = value === '$other' ? String(second().version) : value;
    await lineage.served.api.database.query(`DROP TABLE IF EXISTS before; CREATE TABLE before AS TABLE ${table}`);
    const key = table === 'runs' ? 'run_id' : table === 'dataset_versions' ? 'dvc_md5' : 'id';
    await tampered(
      `SET session_replication_role = replica; UPDATE ${table} SET ${column} = ${other}; SET session_replication_role = origin`,
      `SET session_replication_role = replica; UPDATE ${table} t SET ${column} = b.${column} FROM before b
         WHERE b.${key} = t.${key}; SET session_replication_role = origin`,
      async () => {
        const { verified, edges } = await lineageOf(id);
        expect(verified).toBe(false);
        const failed = edges.filter(({ state }) => state === 'failed');
        expect(failed.map((edge) => edge.relation)).toEqual([relation]);
        expect(failed[0]?.detail).toMatch(says);
      },
    );
    expect(await faults()).toEqual([]);
  });
});

describe('the lineage after an erasure is verified, and shows what was erased', () => {
  const erasedOf = async (): Promise<string[]> => {
    const { edges } = await lineageOf(ids[0] ?? '');
    return [...new Set(edges.filter(({ state }) => state === 'erased').map(({ relation }) => relation))].sort();
  };

  it('of an image, of the dataset, of the model', async () => {
    const [image] = await lineage.ingestion.datasets.examples('flowers', 1);
    await erase('image', image?.sha256 ?? '');
    expect([await faults(), await erasedOf()]).toEqual([[], ['read_features']]);
    await post(`${model}/retire`, { reason: 'to erase it' });
    await erase('dataset', 'flowers');
    expect([await faults(), await erasedOf()]).toEqual([[], ['consists_of', 'read_features', 'trained_on']]);
    await erase('model', modelName);
    expect(await erasedOf()).toEqual(['consists_of', 'made_by', 'packaged_as', 'read_features', 'trained_on']);
    expect(await faults()).toEqual([]);
  });
});
