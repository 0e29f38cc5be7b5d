import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { z } from 'zod';
import { createSlackChannel } from '../../../../activities/notifications/slack.js';
import { createWebhookChannel } from '../../../../activities/notifications/webhook.js';
import type { ModelVersion } from '../../../../contracts/registry/registry.js';
import { notificationText } from '../../../../domain/notifications/notification-text.js';
import { snakeKeys } from '../../../../domain/snake-keys.js';
import { drawConfusionMatrix } from '../../../../model/charts/confusion-matrix.js';
import { classTable } from '../../../../model/export/model-card.js';
import { createResultFile } from '../../../../model/predictions/result-files.js';
import { startReceiver } from '../../../support/receivers.js';
import { formWith, redImage, serves, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';

/** The tiny model answers a red image with the first. `grass ` is of a model from before labels were trimmed. */
const labels = ['__proto__', 'iPhone', 'Größe|x', '<b>', '=1+1', 'constructor', 'שלום', 'a_b*c*', 'grass '];
const model = 'dandelion_grass_classifier';
const folder = temporaryFolder();

let postgres: TestService;
let objectStore: TestService;
let served: ServedApi;
let version: ModelVersion;
let image: Buffer;
beforeAll(async () => {
  [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
  served = await startApi({ ...postgres.environment, ...objectStore.environment });
  version = await served.registerTiny({ labels, bias: 1 });
  await served.promote(version);
  await serves(served, version);
  image = await redImage();
});
afterAll(async () => {
  await served.stop();
  await Promise.all([postgres.stop(), objectStore.stop()]);
});

const json = { 'content-type': 'application/json' };

/** The names of members of the object at a path of an answer. */
function namesAt(answer: unknown, ...path: string[]): string[] {
  const found = path.reduce<unknown>((value, name) => new Map(Object.entries(value ?? {})).get(name), answer);
  return Object.keys(found ?? {});
}

async function post(path: string, body: unknown): Promise<unknown> {
  const response = await fetch(served.url + path, { method: 'POST', headers: json, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

async function get(path: string): Promise<unknown> {
  return (await fetch(served.url + path)).json();
}

async function predict(): Promise<unknown> {
  return (await fetch(`${served.url}/predict`, { method: 'POST', body: formWith('file', image) })).json();
}

const predictedSchema = z.object({ prediction: z.string(), prediction_id: z.string() });

describe('class names that are awkward', () => {
  it('keep their spelling in predictions of every protocol and in metrics', async () => {
    const answer = await predict();
    expect(predictedSchema.parse(answer).prediction).toBe('__proto__');
    expect(namesAt(answer, 'probabilities').sort()).toEqual([...labels].sort());
    const input = { name: 'image', datatype: 'BYTES', shape: [1], data: [image.toString('base64')] };
    const ranked = await post(`/v2/models/${model}/infer`, {
      inputs: [input],
      outputs: [{ name: 'label' }, { name: 'probabilities', parameters: { classification: labels.length } }],
    });
    const { outputs } = z.object({ outputs: z.array(z.object({ data: z.array(z.string()) })) }).parse(ranked);
    expect(outputs[0]?.data).toEqual(['__proto__']);
    expect(outputs[1]?.data.map((row) => row.replace(/^[^:]*:[^:]*:/, '')).sort()).toEqual([...labels].sort());
    for (const [label, named] of [
      ['iPhone', 'iPhone'],
      ['__proto__', '__proto__'],
      ['grass', 'grass '],
    ] as const) {
      const path = `${served.url}/explain?label=${encodeURIComponent(label)}`;
      const explained: unknown = await (await fetch(path, { method: 'POST', body: formWith('file', image) })).json();
      expect(explained).toMatchObject({ explanation: { label: named } });
    }
    const metrics = await (await fetch(`${served.url}/metrics`)).text();
    expect(metrics).toMatch(/^predictions_total\{.*predicted_class="__proto__".*\} \d+$/m);
  });

  it('keep their spelling in feedback, in what is stored of a prediction, in confusion and in the audit log', async () => {
    for (const label of labels) {
      const { prediction_id } = predictedSchema.parse(await predict());
      const given = await post('/feedback', { prediction_id, label });
      expect(given).toMatchObject({ label, predicted: '__proto__', correct: label === '__proto__' });
      const stored = await get(`/api/v1/predictions/${prediction_id}`);
      expect(stored).toMatchObject({ prediction: '__proto__', label });
      expect(namesAt(stored, 'probabilities').sort()).toEqual([...labels].sort());
    }
    const accuracy = await get(`/api/v1/mlops/models/${model}/production-accuracy`);
    expect(namesAt(accuracy, 'versions', '0', 'confusion').sort()).toEqual([...labels].sort());
    expect(namesAt(accuracy, 'versions', '0', 'confusion', 'iPhone')).toEqual(['__proto__']);
    const audit = await get('/api/v1/audit?action=feedback.add&limit=100');
    const { items } = z.object({ items: z.array(z.object({ after: z.object({ label: z.string() }) })) }).parse(audit);
    expect(items.map(({ after }) => after.label).sort()).toEqual([...labels].sort());
  });

  it('keep their spelling on the page of a version, in its chart and in its card', async () => {
    const shown = await get(`/api/v1/mlops/models/${model}/versions/${version.version}`);
    expect(shown).toMatchObject({ labels, metrics: { per_class: labels.map((label) => ({ label })) } });
    const { perClass, confusionMatrix } = version.evaluation;
    const chart = drawConfusionMatrix(confusionMatrix, labels);
    for (const label of ['__proto__', 'Größe|x', '&lt;b&gt;', '=1+1', 'שלום', 'grass ']) expect(chart).toContain(label);
    expect(chart).not.toContain('<b>');
    const card = classTable(version.evaluation).join('\n');
    for (const label of ['\\_\\_proto\\_\\_', 'iPhone', 'Größe\\|x', '\\<b\\>', 'a\\_b\\*c\\*'])
      expect(card).toContain(`| ${label} |`);
    expect(perClass).toHaveLength(labels.length);
  });

  it('keep their spelling in results of batch predictions; only a table keeps formulas from running', async () => {
    const row = {
      ...{ item: 0, name: 'a.jpg', label: '=1+1', imageSha256: null, prediction: '=1+1', confidence: 1 },
      ...{ probabilities: labels.map(() => 0.1), variant: null, abstained: null, unfamiliar: null, distance: null },
      ...{ errorCode: null, error: null },
    };
    for (const format of ['csv', 'json', 'parquet'] as const) {
      const file = createResultFile(format, join(folder, format), labels);
      await file.write([row]);
      await file.close();
    }
    const columns = labels.map((label) => `probability_${label}`);
    const [inJson] = z.array(z.unknown()).parse(JSON.parse(await readFile(join(folder, 'json'), 'utf8')));
    expect(namesAt(inJson).slice(-labels.length)).toEqual(columns);
    expect(inJson).toMatchObject({ prediction: '=1+1', label: '=1+1' });
    const [inParquet] = await parquetReadObjects({ file: await asyncBufferFromFile(join(folder, 'parquet')) });
    expect(namesAt(inParquet).slice(-labels.length)).toEqual(columns);
    const csv = await readFile(join(folder, 'csv'), 'utf8');
    expect(csv).toContain(columns.join(','));
    expect(csv).toContain(",'=1+1,");
  });

  it('keep their spelling in webhooks and in Slack, where nothing in them is markup', async () => {
    const receiver = await startReceiver();
    const predicted = Object.fromEntries(labels.map((label) => [label, 1]));
    const payload = { modelName: model, reason: `Recall of ${labels.join(', ')} is low`, predicted };
    const { subject, text } = notificationText('model.promotion', payload, null);
    const message = {
      ...{ id: '1', deliveryId: '1', kind: 'model.promotion', createdAt: '2026-01-01T00:00:00.000Z', subject, text },
      ...{ link: null, payload: snakeKeys(payload), reached: [] },
    };
    const { url } = receiver;
    const signal = AbortSignal.timeout(60_000);
    await createWebhookChannel({ url, secret: 'x'.repeat(32), kinds: ['*'] }).send(message, signal);
    await createSlackChannel({ url, kinds: ['*'] }).send(message, signal);
    const [hook, slack] = receiver.received.map(({ body }): unknown => JSON.parse(body));
    expect(namesAt(hook, 'payload', 'predicted')).toEqual(labels);
    expect(z.object({ text: z.string() }).parse(hook).text).toContain(labels.join(', '));
    expect(JSON.stringify(slack)).toContain('a_b*c*');
    expect(JSON.stringify(slack)).toContain('&lt;b&gt;');
    expect(JSON.stringify(slack)).not.toContain('"type":"mrkdwn"');
    await receiver.stop();
  });
});
