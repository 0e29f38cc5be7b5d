import sharp from 'sharp';
import type { z } from 'zod';
import { predictionSchema } from '../../contracts/inference/http-predict.js';
import { pageOf } from '../../contracts/http/page.js';
import { labelCandidateViewSchema, labelDecisionViewSchema } from '../../contracts/predictions/http-labels.js';
import { predictionDetailViewSchema } from '../../contracts/predictions/http-predictions.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { poll } from './api-client.js';
import { startIngestionFixture, type IngestionFixture } from './ingestion-fixture.js';
import { formWith, serves, startApi, type ServedApi } from './served-api.js';

export type Candidate = z.infer<typeof labelCandidateViewSchema>;
export type Decision = z.infer<typeof labelDecisionViewSchema>;

/** An API that serves a tiny model and captures every image, and the ingestion activities on the same services. */
export interface LabelFixture {
  ingestion: IngestionFixture;
  served: ServedApi;
  version: ModelVersion;
  get(path: string): Promise<Response>;
  send(path: string, body: unknown, actor?: string): Promise<Response>;
  /** Predicts, waits until the image is captured, and returns the prediction's id. */
  predict(image: Uint8Array): Promise<string>;
  detail(id: string): Promise<z.infer<typeof predictionDetailViewSchema>>;
  queue(query?: string): Promise<{ items: Candidate[]; next_page_token: string | null }>;
  decide(id: string, decision: object, actor?: string): Promise<Decision>;
  stop(): Promise<void>;
}

export async function startLabelFixture(): Promise<LabelFixture> {
  const ingestion = await startIngestionFixture();
  const served = await startApi({ ...ingestion.database.postgres.environment, ...ingestion.objectServer.environment });
  const version = await served.registerTiny();
  await served.promote(version);
  await serves(served, version);
  const get = (path: string): Promise<Response> => fetch(served.url + path);
  const send = (path: string, body: unknown, actor = 'ada', method = 'POST'): Promise<Response> =>
    fetch(served.url + path, {
      method,
      headers: { 'content-type': 'application/json', 'x-actor': actor },
      body: JSON.stringify(body),
    });
  await send(`/api/v1/mlops/models/${version.modelName}/policy`, { serving: { keep_inputs: 'all' } }, 'ada', 'PUT');
  await poll(
    () => Promise.resolve(served.host.current()?.serving.keepInputs),
    (capture) => capture === 'all',
  );
  return {
    ingestion,
    served,
    version,
    get,
    send,
    async predict(image) {
      const response = await fetch(`${served.url}/predict`, { method: 'POST', body: formWith('file', image) });
      const { prediction_id } = predictionSchema.parse(await response.json());
      await Promise.all([served.api.predictions.predictionLog.flush(), flushCapture(served)]);
      return prediction_id;
    },
    detail: async (id) => predictionDetailViewSchema.parse(await (await get(`/api/v1/predictions/${id}`)).json()),
    queue: async (query = '') =>
      pageOf(labelCandidateViewSchema).parse(await (await get(`/api/v1/labels/queue?${query}`)).json()),
    decide: async (id, decision, actor) =>
      labelDecisionViewSchema.parse(
        await (await send('/api/v1/labels', { prediction_id: id, ...decision }, actor)).json(),
      ),
    async stop() {
      await served.stop();
      await ingestion.stop();
    },
  };
}

/** Waits for the capture of images, which starts on the event-loop turn after the response. */
async function flushCapture({ api }: ServedApi): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await api.predictions.inputCapture.flush();
}

let imageCount = 0;

/** An image with this much red and a green of 100. Every call gives a file with different content. */
export function colour(red: number, exif?: string): Promise<Buffer> {
  imageCount += 1;
  const background = { r: red, g: 100, b: imageCount % 250 };
  const image = sharp({ create: { width: 40 + Math.floor(imageCount / 250), height: 32, channels: 3, background } });
  return (exif === undefined ? image : image.withExif({ IFD0: { Artist: exif } })).png().toBuffer();
}
