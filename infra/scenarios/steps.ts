import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { notificationViewSchema, type NotificationView } from '../../contracts/notifications/http-notifications.js';
import { feedbackViewSchema } from '../../contracts/predictions/http-predictions.js';
import { promotionViewSchema } from '../../contracts/promotion/http-promotions.js';
import {
  retrainingResultViewSchema,
  type RetrainingResultView
} from '../../contracts/retraining/http-retraining.js';
import { uploadAcceptedSchema } from '../../contracts/datasets/http-datasets.js';
import { ingestionResultViewSchema, type IngestionResultView } from '../../contracts/datasets/http-datasets.js';
import {
  decisionViewOfRetrainingSchema,
  retrainingCheckSchema,
  triggeredRetrainingSchema,
  type RetrainingDecisionView,
} from '../../contracts/retraining/http-retraining.js';
import { scheduleViewSchema } from '../../contracts/retraining/http-schedules.js';
import { predictionSchema } from '../../contracts/inference/http-predict.js';
import { pageOf } from '../../contracts/http/page.js';
import { drawImages, type DrawnImage } from './drawn-images.js';
import { assertTrue, type Harness } from './harness.js';

/** What scenarios have in common: each function asks the API for one thing and waits until it is there. */

const patience = { totalMs: 60_000, pollMs: 200 };
const aboutSchema = z.object({ model_name: z.string(), version: z.coerce.string() });

export interface Classified {
  picture: DrawnImage;
  answer: z.output<typeof predictionSchema>;
}

/** Lets the served model classify pictures, one after the other. */
export async function predict({ api }: Pick<Harness, 'api'>, pictures: readonly DrawnImage[]): Promise<Classified[]> {
  const seen: Classified[] = [];
  for (const picture of pictures) {
    seen.push({ picture, answer: await api.upload('/predict', picture, predictionSchema) });
  }
  return seen;
}

/** How many of the answers were right. */
export function countCorrect(seen: readonly Classified[]): number {
  return seen.filter(({ picture, answer }) => answer.prediction === picture.label).length;
}

/** Says of each prediction what its picture truly shows. */
export async function sendFeedback({ api }: Harness, seen: readonly Classified[]): Promise<void> {
  for (const { picture, answer } of seen) {
    await api.post('/feedback', { prediction_id: answer.prediction_id, label: picture.label }, feedbackViewSchema);
  }
}

/** Uploads pictures under the labels they are given, and waits until they are in the dataset. */
export async function upload(
  { api, ended }: Harness,
  dataset: string,
  pictures: readonly DrawnImage[],
): Promise<IngestionResultView> {
  let result: IngestionResultView | null = null;
  for (const label of new Set(pictures.map((picture) => picture.label))) {
    const form = new FormData();
    form.set('label', label);
    for (const { bytes, name } of pictures.filter((picture) => picture.label === label)) {
      form.append('files', new Blob([bytes]), name);
    }
    const { run_id: runId } = await api.sendForm(`/api/v1/datasets/${dataset}/images`, form, uploadAcceptedSchema);
    const run = await ended(runId);
    assertTrue(run.status === 'completed', `the ingestion of the pictures of ${label} is completed`);
    result = ingestionResultViewSchema.parse(run.result);
  }
  assertTrue(result !== null, 'there are pictures to upload');
  return result;
}

/** Trains on a dataset by hand, through the whole pipeline: the gate decides on what comes of it. */
export async function retrain(stage: Harness, dataset: string): Promise<RetrainingResultView> {
  const { api, modelName } = stage;
  const path = `/api/v1/mlops/retraining/trigger/${modelName}`;
  const { run_id: runId, joined } = await api.post(path, { dataset, hyperparameters: {} }, triggeredRetrainingSchema);
  assertTrue(!joined, `no other retraining of ${modelName} is under way. Wait until run ${runId} has ended`);
  return waitForRetraining(stage, runId);
}

/** Waits until a retraining has ended, and gives what came of it. */
export async function waitForRetraining({ ended }: Harness, runId: string): Promise<RetrainingResultView> {
  const { status, result } = await ended(runId);
  assertTrue(status === 'completed', `the retraining ${runId} is completed`);
  return retrainingResultViewSchema.parse(result);
}

/** Promotes a version past what the gate said of it. */
export async function promoteDespiteGate({ api, modelName }: Harness, version: string, reason: string): Promise<void> {
  const order = { model_name: modelName, version, override: true, reason };
  await api.post('/api/v1/mlops/models/promote', order, promotionViewSchema);
}

/** Puts a version into Production that knows dandelions by their flowers and has seen nothing else. */
export async function serveFirstModel(stage: Harness): Promise<string> {
  const { dataset, tell } = stage;
  const { statistics } = await upload(stage, dataset, [...drawImages('bloom', 36), ...drawImages('grass', 36)]);
  tell(`dataset ${dataset} has ${statistics.images} drawn pictures: dandelions in bloom, and grass`);
  const { version, outcome } = await retrain(stage, dataset);
  if (outcome !== 'promoted') {
    await promoteDespiteGate(stage, version, 'The scenario begins with a model of its own pictures.');
  }
  tell(`version ${version}, trained on them, serves`);
  return version;
}

/** What continuous training would decide now. */
export function checkRetraining({ api, modelName }: Harness): Promise<z.output<typeof retrainingCheckSchema>> {
  return api.post('/api/v1/mlops/retraining/check', { model_name: modelName }, retrainingCheckSchema);
}

/** Lets continuous training act now, as its schedule would, and gives what it has decided. */
export async function runContinuousTraining({ api, modelName, signal }: Harness): Promise<RetrainingDecisionView> {
  const newest = async (): Promise<RetrainingDecisionView | undefined> => {
    const path = `/api/v1/mlops/retraining/history?model=${modelName}&limit=20`;
    const { items } = await api.get(path, pageOf(decisionViewOfRetrainingSchema));
    return items.find(({ kind }) => kind === 'continuous_training');
  };
  const former = await newest();
  await api.post(`/api/v1/schedules/continuous_training-${modelName}/trigger`, {}, scheduleViewSchema);
  return waitFor('continuous training decides', signal, async () => {
    const decision = await newest();
    if (decision === undefined || decision.id === former?.id) return null;
    // What is to be trained has a run a moment later.
    return decision.decision === 'retrain' && decision.run === null ? null : decision;
  });
}

/** Waits for a message of a kind about a version of the model. */
export function waitForMessage(
  { api, modelName, signal }: Harness,
  kind: string,
  version: string,
): Promise<NotificationView> {
  return waitFor(`a message ${kind} about version ${version} is written`, signal, async () => {
    const { items } = await api.get(`/api/v1/notifications?kind=${kind}&limit=20`, pageOf(notificationViewSchema));
    const isAbout = ({ payload }: NotificationView): boolean => {
      const about = aboutSchema.safeParse(payload).data;
      return about?.model_name === modelName && about.version === version;
    };
    return items.find(isAbout) ?? null;
  });
}

async function waitFor<T>(what: string, signal: AbortSignal, ask: () => Promise<T | null>): Promise<T> {
  const deadline = Date.now() + patience.totalMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    assertTrue(Date.now() < deadline, `${what} within ${patience.totalMs / 1000} s`);
    await sleep(patience.pollMs, undefined, { signal });
  }
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
