import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import type { evaluationViewSchema } from '../../../contracts/registry/http-versions.js';
import type { pipelineSchema } from '../../../contracts/pipelines/http-pipelines.js';
import type { modelInfoSchema, predictionSchema } from '../../../contracts/inference/http-predict.js';
import type { acceptedSchema } from '../../../contracts/workflows/accepted.js';
import type { healthSchema } from '../../../contracts/http/health.js';
import { runFirstTime } from '../../../infra/local/first-run.js';
import { sampleImage } from '../../../infra/local/sample-image.js';
import { createProgress } from '../../../infra/setup/progress.mjs';
import { inspectImage } from '../../../model/images/inspect.js';
import { startFakeApi, type FakeAnswer, type FakeApi } from '../../support/fake-api.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const at = (second: number): string => new Date(Date.UTC(2030, 0, 1, 0, 0, second)).toISOString();

function health(version: string | null): z.infer<typeof healthSchema> {
  return {
    status: 'healthy',
    version: '1.0.0',
    timestamp: '2026-01-01T00:00:00.000Z',
    model_loaded: version !== null,
    model_name: 'flowers',
    model_version: version,
    uptime_seconds: 1,
    dependencies: {},
  };
}

function accepted(joined: boolean): z.infer<typeof acceptedSchema> {
  return { workflow_id: 'retrain-flowers', run_id: 'run-1', joined, status_url: '/x', temporal_url: null };
}

type Pipeline = z.infer<typeof pipelineSchema>;
function pipeline(status: Pipeline['status'], steps: Pipeline['steps'], error: Pipeline['error'] = null): Pipeline {
  return {
    id: 'run-1',
    workflow_id: 'retrain-flowers',
    workflow: 'retrainingPipeline',
    status,
    trigger: 'first_run',
    model_name: 'flowers',
    dataset: 'flowers',
    started_at: at(0),
    ended_at: null,
    steps,
    result: null,
    error,
    temporal_url: 'http://temporal/run-1',
  };
}

function step(
  name: string,
  status: Pipeline['steps'][number]['status'],
  detail: string | null,
): Pipeline['steps'][number] {
  return { name, status, detail, started_at: at(1), ended_at: status === 'completed' ? at(4) : null };
}

const metrics: z.infer<typeof evaluationViewSchema> = {
  images: 44,
  loss: 0.1,
  accuracy: 0.95,
  precision: 0.94,
  recall: 0.93,
  f1: 0.92,
  roc_auc: 0.99,
  calibration_error: 0.02,
  confusion_matrix: [],
  per_class: [],
  intervals: {
    loss: [0, 1],
    accuracy: [0.9, 1],
    precision: [0.9, 1],
    recall: [0.9, 1],
    f1: [0.9, 1],
    roc_auc: [0.9, 1],
    calibration_error: [0, 1],
  },
};
const info: z.infer<typeof modelInfoSchema> = {
  model_name: 'flowers',
  model_version: '1',
  stage: 'Production',
  architecture: 'efficientnet-lite0',
  labels: ['dandelion', 'grass'],
  variant: 'fp32',
  input: { name: 'image', datatype: 'UINT8', shape: [-1, 224, 224, 3] },
  dataset: 'flowers',
  dataset_version: 1,
  run_id: 'r',
  bundle_sha256: 'b',
  size_bytes: 1,
  generation: 1,
  loaded_at: at(0),
  metrics,
  calibration: {
    calibration_error: 0.02,
    target_risk: 0.05,
    abstain_below: 0.7,
    coverage: 0.98,
    risk_bound: 0.04,
    note: '',
  },
};
const prediction: z.infer<typeof predictionSchema> = {
  prediction: 'dandelion',
  confidence: 0.9876,
  probabilities: {},
  abstained: false,
  unfamiliar: false,
  distance: null,
  model_name: 'flowers',
  model_version: '1',
  timestamp: at(0),
  prediction_id: '00000000-0000-4000-8000-000000000000',
};

const started = 'POST /api/v1/pipelines/retraining';
const polled = 'GET /api/v1/pipelines/run-1';
let api: FakeApi | null = null;
afterEach(() => api?.close());

async function firstRun(answers: Record<string, FakeAnswer[]>, datasetFolder: string | null = null): Promise<string> {
  api = await startFakeApi(answers);
  let shown = '';
  const progress = createProgress({ output: { write: (text: string) => (shown += text) }, nameWidth: 24 });
  await runFirstTime({ apiUrl: api.url, datasetFolder, progress, signal: new AbortController().signal, pollMs: 1 });
  return shown;
}

describe('the first run', () => {
  it('trains nothing for a retired model, and says who retired it', async () => {
    const retired = { version: '3', at: at(1), by: 'ada', reason: 'replaced by another' };
    const model = { name: 'flowers', versions: 3, latest_version: '3', production_version: null };
    const shown = await firstRun({
      'GET /health': [{ body: health(null) }],
      'GET /api/v1/mlops/models/flowers': [{ body: { ...model, production_since: null, retired, created_at: at(0) } }],
    });
    expect(shown).toContain(`flowers was retired by ada at ${at(1)} (replaced by another).`);
    expect(api?.requests.map(({ what }) => what)).not.toContain(started);
  });

  it('prints the served version, when there is one, and starts nothing', async () => {
    const shown = await firstRun({ 'GET /health': [{ body: health('7') }] });
    expect(shown).toBe('\nflowers version 7 is being served.\n');
    expect(api?.requests.map(({ what }) => what)).toEqual(['GET /health']);
  });

  it('trains on the default source and prints each step once with its duration, the metrics and a prediction', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'dandelion'));
    writeFileSync(join(folder, 'dandelion', 'a b.jpg'), 'jpeg bytes');
    const shown = await firstRun(
      {
        'GET /health': [{ body: health(null) }, { body: health(null) }, { body: health('1') }],
        [started]: [{ status: 202, body: accepted(false) }],
        [polled]: [
          { body: pipeline('running', [step('start', 'running', null), step('train_new_model', 'pending', null)]) },
          {
            body: pipeline('running', [
              step('start', 'completed', null),
              step('train_new_model', 'running', 'epoch 3'),
            ]),
          },
          {
            body: pipeline('running', [
              step('start', 'completed', null),
              step('train_new_model', 'running', 'epoch 4'),
            ]),
          },
          {
            body: pipeline('completed', [
              step('start', 'completed', null),
              step('train_new_model', 'completed', '20 epochs'),
            ]),
          },
        ],
        'GET /model/info': [{ body: info }],
        'POST /predict': [{ body: prediction }],
      },
      folder,
    );
    expect(shown.split('\n').map((line) => line.trim().replaceAll(/ +/g, ' '))).toEqual([
      '',
      'First run: no model is served yet, so one is trained and promoted.',
      'start …',
      'start done (3.0 s)',
      'train_new_model …',
      'train_new_model 20 epochs (3.0 s)',
      '',
      'flowers version 1 (efficientnet-lite0) is served. On its test images:',
      'accuracy 0.950 (95 % interval 0.900 to 1.000)',
      'precision 0.940 (95 % interval 0.900 to 1.000)',
      'recall 0.930 (95 % interval 0.900 to 1.000)',
      'F1 0.920 (95 % interval 0.900 to 1.000)',
      'ROC-AUC 0.990 (95 % interval 0.900 to 1.000)',
      'test images 44',
      'sample prediction dandelion, confidence 0.988, for dandelion/a b.jpg',
      '',
    ]);
    const bodyOf = (what: string): string => api?.requests.find((request) => request.what === what)?.body ?? '';
    expect(JSON.parse(bodyOf(started))).toEqual({ trigger: 'first_run', source: { kind: 'default' } });
    expect(bodyOf('POST /predict')).toContain('jpeg bytes');
  });

  it('joins the training that an interrupted start left', async () => {
    const shown = await firstRun({
      'GET /health': [{ body: health(null) }],
      [started]: [{ status: 202, body: accepted(true) }],
      [polled]: [{ body: pipeline('cancelled', [step('start', 'cancelled', 'by you')]) }],
    });
    expect(shown).toContain('an earlier start began continues');
    expect(shown).toContain('cancelled: by you');
  });

  it('that fails prints the error code, the message and the command to retry, and does not throw', async () => {
    const error = { code: 'source_empty', message: 'The folder /x holds no images.' };
    const shown = await firstRun({
      'GET /health': [{ body: health(null) }],
      [started]: [{ status: 202, body: accepted(false) }],
      [polled]: [{ body: pipeline('failed', [step('prepare_training_data', 'failed', 'no images')], error) }],
    });
    expect(shown).toContain('ended as failed (source_empty): The folder /x holds no images.');
    expect(shown).toContain('http://temporal/run-1');
    expect(shown).toContain(`curl -X POST ${api?.url ?? '?'}/api/v1/pipelines/retraining`);
  });

  it('that promotes no model says so', async () => {
    const shown = await firstRun({
      'GET /health': [{ body: health(null) }],
      [started]: [{ status: 202, body: accepted(false) }],
      [polled]: [{ body: pipeline('completed', [step('validate_new_model', 'completed', 'Refused: 60 %')]) }],
    });
    expect(shown).toContain('Refused: 60 %');
    expect(shown).toContain('No model is served yet.');
  });

  it('that the API refuses prints the problem', async () => {
    const problem = {
      type: '/problems/bad_request',
      title: 'The request is not well formed',
      status: 400,
      detail: 'source: unknown kind',
      instance: '/x',
      code: 'bad_request',
      trace_id: 't',
    };
    const shown = await firstRun({
      'GET /health': [{ body: health(null) }],
      [started]: [{ status: 400, body: problem }],
    });
    expect(shown).toContain('(bad_request): The request is not well formed: source: unknown kind');
  });
});

describe('the image for the first prediction', () => {
  it('is a drawn image that the image decoder accepts when there is no folder of photographs', async () => {
    const limits = { maxPixels: 1_000_000, maxBytes: 1_000_000, minSide: 8 };
    const inspection = await inspectImage(sampleImage(null).bytes, limits);
    expect(inspection).toMatchObject({ ok: true, facts: { format: 'png', width: 128, height: 128 } });
    expect(sampleImage('/no/such/folder').name).toBe(sampleImage(null).name);
  });
});
