import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { notificationViewSchema, type NotificationView } from '../../contracts/notifications/http-notifications.js';
import { feedbackViewSchema } from '../../contracts/predictions/http-predictions.js';
import { promotionViewSchema } from '../../contracts/promotion/http-promotions.js';
import {
  ingestionResultViewSchema,
  uploadAcceptedSchema,
  type IngestionResultView,
} from '../../contracts/datasets/http-datasets.js';
import {
  decisionViewOfRetrainingSchema,
  retrainingCheckSchema,
  retrainingResultViewSchema,
  triggeredRetrainingSchema,
  type RetrainingDecisionView,
  type RetrainingResultView,
} from '../../contracts/retraining/http-retraining.js';
import { scheduleViewSchema } from '../../contracts/retraining/http-schedules.js';
import { predictionSchema } from '../../contracts/inference/http-predict.js';
import { pageOf } from '../../contracts/http/page.js';
import { drawImages, type DrawnImage } from '../images/drawn-images.js';
import { expectThat, type Harness } from './harness.js';

/** The steps that scenarios share: each sends a request to the API and waits for its result. */

const patience = { totalMs: 60_000, pollMs: 200 };
const aboutSchema = z.object({ model_name: z.string(), version: z.coerce.string() });

export interface Classified {
  image: DrawnImage;
  answer: z.output<typeof predictionSchema>;
}

/** Predicts the images with the served model, one after the other. */
export async function predict({ api }: Pick<Harness, 'api'>, images: readonly DrawnImage[]): Promise<Classified[]> {
  const classified: Classified[] = [];
  for (const image of images) {
    classified.push({ image, answer: await api.upload('/predict', image, predictionSchema) });
  }
  return classified;
}

export function countCorrect(classified: readonly Classified[]): number {
  return classified.filter(({ image, answer }) => answer.prediction === image.label).length;
}

/** Sends the true label of each prediction. */
export async function sendFeedback({ api }: Harness, classified: readonly Classified[]): Promise<void> {
  for (const { image, answer } of classified) {
    await api.post('/feedback', { prediction_id: answer.prediction_id, label: image.label }, feedbackViewSchema);
  }
}

/** Uploads images under their labels and waits until they are in the dataset. */
export async function upload(
  { api, waitForRun }: Harness,
  dataset: string,
  images: readonly DrawnImage[],
): Promise<IngestionResultView> {
  let result: IngestionResultView | null = null;
  for (const label of new Set(images.map((image) => image.label))) {
    const form = new FormData();
    form.set('label', label);
    for (const { bytes, name } of images.filter((image) => image.label === label)) {
      form.append('files', new Blob([bytes]), name);
    }
    const { run_id: runId } = await api.sendForm(`/api/v1/datasets/${dataset}/images`, form, uploadAcceptedSchema);
    const run = await waitForRun(runId);
    expectThat(run.status === 'completed', `the ingestion of the images of ${label} completes`);
    result = ingestionResultViewSchema.parse(run.result);
  }
  expectThat(result !== null, 'there are images to upload');
  return result;
}

/** Runs the retraining pipeline on a dataset; the promotion gate decides on the new version. */
export async function retrain(harness: Harness, dataset: string): Promise<RetrainingResultView> {
  const { api, modelName } = harness;
  const path = `/api/v1/mlops/retraining/trigger/${modelName}`;
  const { run_id: runId, joined } = await api.post(path, { dataset, hyperparameters: {} }, triggeredRetrainingSchema);
  expectThat(!joined, `no other retraining of ${modelName} is running. Wait until run ${runId} has ended`);
  return waitForRetraining(harness, runId);
}

export async function waitForRetraining({ waitForRun }: Harness, runId: string): Promise<RetrainingResultView> {
  const { status, result } = await waitForRun(runId);
  expectThat(status === 'completed', `retraining ${runId} completes`);
  return retrainingResultViewSchema.parse(result);
}

/** Promotes a version although the promotion gate refused it. */
export async function promoteDespiteGate({ api, modelName }: Harness, version: string, reason: string): Promise<void> {
  const order = { model_name: modelName, version, override: true, reason };
  await api.post('/api/v1/mlops/models/promote', order, promotionViewSchema);
}

/** Puts a version into Production that was trained on dandelions in bloom only, so that it recognises them by their flowers. */
export async function serveFirstModel(harness: Harness): Promise<string> {
  const { dataset, report } = harness;
  const { statistics } = await upload(harness, dataset, [...drawImages('bloom', 36), ...drawImages('grass', 36)]);
  report(`dataset ${dataset} has ${statistics.images} drawn images: dandelions in bloom, and grass`);
  const { version, outcome } = await retrain(harness, dataset);
  if (outcome !== 'promoted') {
    await promoteDespiteGate(harness, version, 'The scenario starts with a model trained on its own images.');
  }
  report(`version ${version}, trained on this dataset, is served`);
  return version;
}

/** Returns what continuous training would decide now, without starting a retraining. */
export function checkRetraining({ api, modelName }: Harness): Promise<z.output<typeof retrainingCheckSchema>> {
  return api.post('/api/v1/mlops/retraining/check', { model_name: modelName }, retrainingCheckSchema);
}

/** Triggers the schedule of continuous training and returns its decision. */
export async function runContinuousTraining({ api, modelName, signal }: Harness): Promise<RetrainingDecisionView> {
  const newest = async (): Promise<RetrainingDecisionView | undefined> => {
    const path = `/api/v1/mlops/retraining/history?model=${modelName}&limit=20`;
    const { items } = await api.get(path, pageOf(decisionViewOfRetrainingSchema));
    return items.find(({ kind }) => kind === 'continuous_training');
  };
  const previous = await newest();
  await api.post(`/api/v1/schedules/continuous_training-${modelName}/trigger`, {}, scheduleViewSchema);
  return waitFor('continuous training decides', signal, async () => {
    const decision = await newest();
    if (decision === undefined || decision.id === previous?.id) return null;
    // The run of a retraining is recorded a moment after the decision.
    return decision.decision === 'retrain' && decision.run === null ? null : decision;
  });
}

/** Waits for a notification of this kind about a version of the model. */
export function waitForMessage(
  { api, modelName, signal }: Harness,
  kind: string,
  version: string,
): Promise<NotificationView> {
  return waitFor(`a notification ${kind} about version ${version} is sent`, signal, async () => {
    const { items } = await api.get(`/api/v1/notifications?kind=${kind}&limit=20`, pageOf(notificationViewSchema));
    const isAbout = ({ payload }: NotificationView): boolean => {
      const about = aboutSchema.safeParse(payload).data;
      return about?.model_name === modelName && about.version === version;
    };
    return items.find(isAbout) ?? null;
  });
}

async function waitFor<T>(what: string, signal: AbortSignal, read: () => Promise<T | null>): Promise<T> {
  const deadline = Date.now() + patience.totalMs;
  for (;;) {
    const answer = await read();
    if (answer !== null) return answer;
    expectThat(Date.now() < deadline, `${what} within ${patience.totalMs / 1000} s`);
    await sleep(patience.pollMs, undefined, { signal });
  }
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
