import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { bundleFiles, onnxNames, type References } from '../../../../contracts/registry/bundle.js';
import { explainedPredictionSchema, predictAnswerSchema } from '../../../../contracts/inference/http-explanations.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { createCnnWeights } from '../../../../model/architectures/starting-weights.js';
import { assembleNetwork } from '../../../../model/architectures/trained-network.js';
import { encodeOnnx } from '../../../../model/export/onnx-graph.js';
import { drawSyntheticImage } from '../../../../model/images/synthetic.js';
import { rawImageKey } from '../../../../stores/objects/object-keys.js';
import { openGraph } from '../../../support/explanation-fixture.js';
import { formWith, problemOf, serves, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';

/** An image that the served model was trained on, according to its bundle. */
interface Reference {
  bytes: Uint8Array;
  sha256: string;
  md5: string;
  label: string;
}

describe('explanations over HTTP', () => {
  let postgres: TestService;
  let objectStore: TestService;
  let served: ServedApi;
  let references: Reference[];
  let image: Uint8Array;

  beforeAll(async () => {
    [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
    served = await startApi({ ...postgres.environment, ...objectStore.environment });
    references = await Promise.all([0, 1, 2, 3].map(drawReference));
    const { operations, weights } = await assembleNetwork('cnn', createCnnWeights([4, 8, 8], 2, 1));
    const graph = encodeOnnx(operations, weights);
    const version = await served.registerTiny({ graph, files: await referenceFiles(graph, references) });
    await Promise.all(references.map((reference) => storeImage(served, reference)));
    await served.promote(version);
    await serves(served, version);
    image = await drawSyntheticImage('dandelion', 9);
  });
  afterAll(async () => {
    await served.stop();
    await Promise.all([postgres.stop(), objectStore.stop()]);
  });

  const explain = (query = '', headers: Record<string, string> = {}, bytes = image): Promise<Response> =>
    fetch(`${served.url}/explain${query}`, { method: 'POST', headers, body: formWith('file', bytes) });

  it('return the prediction, and values that add up to its logit', async () => {
    const response = await explain();
    expect(response.status).toBe(200);
    const { explanation, ...prediction } = explainedPredictionSchema.parse(await response.json());
    expect(explanation).toMatchObject({
      label: prediction.prediction,
      method: 'class_activation',
      rows: 28,
      columns: 28,
    });
    const sum = explanation.map.flat().reduce((total, value) => total + value, 0);
    expect(sum + (explanation.bias ?? NaN)).toBeCloseTo(explanation.logit, 3);
    const [first = NaN, second = NaN] = [prediction.confidence, 1 - prediction.confidence].map(Math.log);
    expect(explanation.logit).toBeCloseTo((first - second) / 2, 4);
    const overlay = await sharp(Buffer.from(explanation.overlay ?? '', 'base64')).metadata();
    expect(overlay).toMatchObject({ format: 'png', width: 224, height: 224 });
    expect(explanation.neighbours).toEqual([]);
    const predicted = await fetch(`${served.url}/predict`, { method: 'POST', body: formWith('file', image) });
    expect(predictAnswerSchema.parse(await predicted.json()).confidence).toBeCloseTo(prediction.confidence, 5);
  });

  it('explain the requested class, with or without an overlay', async () => {
    for (const label of ['dandelion', 'grass']) {
      const response = await explain(`?label=${label}&overlay=false`);
      const { explanation } = explainedPredictionSchema.parse(await response.json());
      expect(explanation).toMatchObject({ label, overlay: null });
    }
  });

  it('are a PNG on request, and recorded as predictions', async () => {
    const response = await explain('', { accept: 'image/png' });
    expect(response.headers.get('content-type')).toBe('image/png');
    expect(response.headers.get('vary')).toContain('Accept');
    const { format, width } = await sharp(Buffer.from(await response.arrayBuffer())).metadata();
    expect([format, width]).toEqual(['png', 224]);
    await served.api.predictions.predictionLog.flush();
    const id = response.headers.get('x-prediction-id') ?? '';
    const recorded: unknown = await (await fetch(`${served.url}/api/v1/predictions/${id}`)).json();
    expect(recorded).toMatchObject({ prediction_id: id, route: 'explain' });
  });

  it('come with a prediction only on request', async () => {
    const predict = async (query: string): Promise<unknown> =>
      (await fetch(`${served.url}/predict${query}`, { method: 'POST', body: formWith('file', image) })).json();
    const { explanation } = predictAnswerSchema.parse(await predict('?explain=true'));
    expect(explanation?.map).toHaveLength(28);
    expect(explanation?.overlay).not.toBeNull();
    expect(predictAnswerSchema.parse(await predict('')).explanation).toBeUndefined();
  });

  it.each([
    ['raw', { 'content-type': 'image/jpeg' }, (): Uint8Array => image],
    [
      'base64 in JSON',
      { 'content-type': 'application/json' },
      (): string => JSON.stringify({ image: Buffer.from(image).toString('base64') }),
    ],
  ])('take an image %s', async (_how, headers, body) => {
    const sent = body();
    const response = await fetch(`${served.url}/explain`, {
      method: 'POST',
      headers,
      body: typeof sent === 'string' ? sent : new Uint8Array(sent),
    });
    expect(explainedPredictionSchema.parse(await response.json()).explanation.rows).toBe(28);
  });

  it('refuse an unknown class, and list the classes of the model', async () => {
    const response = await explain('?label=cactus');
    const { status, detail } = problemSchema.parse(await response.json());
    expect(status).toBe(400);
    expect(detail).toContain('cactus');
    expect(detail).toContain('dandelion, grass');
  });

  it.each(['?neighbours=21', '?neighbours=-1', '?overlay=yes', '?label='])('refuse %s', async (query) => {
    expect(await problemOf(await explain(query))).toEqual({ status: 400, code: 'bad_request' });
  });

  it('refuse a file that is not an image', async () => {
    const response = await explain('', {}, Buffer.from('I am no picture. '.repeat(40)));
    expect(await problemOf(response)).toEqual({ status: 415, code: 'unsupported_type' });
  });

  it('show the nearest training images and their addresses', async () => {
    const own = referenceAt(2);
    const response = await explain('?neighbours=3', {}, own.bytes);
    const { neighbours } = explainedPredictionSchema.parse(await response.json()).explanation;
    expect(neighbours).toHaveLength(3);
    expect(neighbours[0]).toMatchObject({ sha256: own.sha256, label: own.label });
    expect(neighbours[0]?.distance).toBeLessThan(1e-3);
    const distances = neighbours.map(({ distance }) => distance);
    expect(distances).toEqual([...distances].sort((a, b) => a - b));
    const image = await fetch(`${served.url}${neighbours[0]?.image_url ?? ''}`);
    expect(Buffer.from(await image.arrayBuffer())).toEqual(Buffer.from(own.bytes));
    expect(image.headers.get('content-type')).toBe('image/jpeg');
    expect(image.headers.get('x-content-type-options')).toBe('nosniff');
    expect(image.headers.get('cache-control')).toBe('private, max-age=3600, immutable');
    const etag = image.headers.get('etag') ?? '';
    for (const tags of [etag, `W/${etag}`, '*']) {
      const again = await fetch(image.url, { headers: { 'if-none-match': tags } });
      expect(again.status).toBe(304);
      expect(again.headers.get('etag')).toBe(etag);
      expect(again.headers.get('cache-control')).toBe('private, max-age=3600, immutable');
    }
  });

  it('omit erased images, which are no longer served', async () => {
    const erased = referenceAt(1);
    await served.api.database.query('UPDATE images SET erased_at = now() WHERE sha256 = $1', [erased.sha256]);
    const { neighbours } = explainedPredictionSchema.parse(
      await (await explain('?neighbours=20', {}, erased.bytes)).json(),
    ).explanation;
    const expected = references.map(({ sha256 }) => sha256).filter((sha256) => sha256 !== erased.sha256);
    expect(neighbours.map(({ sha256 }) => sha256).sort()).toEqual(expected.sort());
    const image = await fetch(`${served.url}/api/v1/images/${erased.sha256}`);
    const problem = problemSchema.parse(await image.json());
    expect(problem.status).toBe(404);
    expect(problem.detail).toContain('erased on request');
    expect(image.headers.get('cache-control') ?? '').not.toContain('immutable');
    expect(await problemOf(await fetch(`${served.url}/api/v1/images/${'0'.repeat(64)}`))).toEqual({
      status: 404,
      code: 'not_found',
    });
    expect(await problemOf(await fetch(`${served.url}/api/v1/images/..%2Fsecret`))).toEqual({
      status: 400,
      code: 'bad_request',
    });
  });

  it('are measured by occlusion for a graph without feature maps', async () => {
    const tiny = await served.registerTiny();
    await served.promote(tiny);
    await serves(served, tiny);
    const half = await sharp({ create: { width: 224, height: 224, channels: 3, background: '#000000' } })
      .composite([
        {
          input: await sharp({ create: { width: 112, height: 224, channels: 3, background: '#ff0000' } })
            .png()
            .toBuffer(),
          left: 0,
          top: 0,
        },
      ])
      .png()
      .toBuffer();
    const { explanation, prediction } = explainedPredictionSchema.parse(await (await explain('', {}, half)).json());
    expect(prediction).toBe('dandelion');
    expect(explanation).toMatchObject({ method: 'occlusion', bias: null, rows: 7, columns: 7 });
    expect(explanation.overlay).not.toBeNull();
    const weightOf = (columns: readonly number[]): number =>
      explanation.map.reduce((sum, row) => columns.reduce((inner, column) => inner + (row[column] ?? 0), sum), 0);
    expect(weightOf([0, 1, 2])).toBeGreaterThan(10 * Math.abs(weightOf([4, 5, 6])));
  });

  function referenceAt(index: number): Reference {
    const reference = references[index];
    if (reference === undefined) throw new Error(`there is no reference ${index}`);
    return reference;
  }
});

async function drawReference(index: number): Promise<Reference> {
  const label = index % 2 === 0 ? 'dandelion' : 'grass';
  const bytes = await drawSyntheticImage(label, index);
  const digest = (algorithm: string): string => createHash(algorithm).update(bytes).digest('hex');
  return { bytes, label, sha256: digest('sha256'), md5: digest('md5') };
}

/** The entry of a bundle about an image its model was trained on. */
async function referenceFiles(
  model: Uint8Array,
  references: readonly Reference[],
): Promise<Record<string, string | Uint8Array>> {
  const graph = await openGraph(model);
  const rows: number[] = [];
  for (const { bytes } of references) {
    const outputs = await graph.run(await graph.decode(bytes), [onnxNames.features]);
    const features = Array.from(outputs[onnxNames.features] ?? []);
    const length = Math.hypot(...features);
    rows.push(...features.map((value) => value / length));
  }
  await graph.release();
  const described: References = {
    dimensions: rows.length / references.length,
    covering: references.length,
    images: references.map(({ sha256, label }) => ({ sha256, label })),
    unfamiliarAbove: { fp32: 1, int8: null },
    heldOutShare: 1,
    transform: 'none',
  };
  return {
    [bundleFiles.references]: JSON.stringify(described),
    [bundleFiles.referenceFeatures]: new Uint8Array(Float32Array.from(rows).buffer),
  };
}

/** Stores an image under the key that ingestion uses. */
async function storeImage({ api }: ServedApi, { bytes, sha256, md5 }: Reference): Promise<void> {
  const key = rawImageKey(md5);
  await api.objects.put(key, bytes);
  await api.database.query(
    `INSERT INTO images (sha256, md5, size_bytes, format, width, height, object_key)
     VALUES ($1, $2, $3, 'jpeg', 100, 100, $4)`,
    [sha256, md5, bytes.length, key],
  );
}
