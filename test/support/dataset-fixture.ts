import { z } from 'zod';
import { datasetChangeSchema, datasetImageViewSchema } from '../../contracts/datasets/corrections.js';
import { datasetVersionViewSchema } from '../../contracts/datasets/http-datasets.js';
import { datasetSourceViewSchema } from '../../contracts/datasets/sources.js';
import { pageOf } from '../../contracts/http/page.js';
import { uploadKey } from '../../stores/objects/object-keys.js';
import { classFolders, startIngestionFixture, type IngestionFixture } from './ingestion-fixture.js';
import { startApi, type ServedApi } from './served-api.js';
import { sha256Of } from './training-fixtures.js';

export type DatasetChange = z.infer<typeof datasetChangeSchema>;
export type DatasetSource = z.infer<typeof datasetSourceViewSchema>;

/** An API over datasets that the fixture ingests, with its calls on images and sources. Paths begin with the dataset. */
export interface DatasetFixture {
  ingestion: IngestionFixture;
  served: ServedApi;
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  /** The answer of a change, which must be 200. */
  change(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<DatasetChange>;
  versionOf(dataset: string, version: number): Promise<z.infer<typeof datasetVersionViewSchema>>;
  imageOf(dataset: string, sha256: string): Promise<z.infer<typeof datasetImageViewSchema>>;
  /** Newest first. */
  sourcesOf(dataset: string): Promise<DatasetSource[]>;
  /** Ingests an upload of one image, as the route does. */
  upload(dataset: string, label: string, bytes: Uint8Array): ReturnType<IngestionFixture['ingest']>;
  /** Ingests a folder of six dandelions and six of grass; returns its path and the digest of the first image. */
  prepare(dataset: string, firstImage: number): Promise<{ folder: string; sha256: string }>;
  stop(): Promise<void>;
}

export async function startDatasetFixture(): Promise<DatasetFixture> {
  const ingestion = await startIngestionFixture();
  const served = await startApi({
    ...ingestion.database.postgres.environment,
    ...ingestion.objectServer.environment,
    ALLOWED_SOURCE_ROOT: ingestion.deps.config.ALLOWED_SOURCE_ROOT.join(','),
  });
  const call: DatasetFixture['call'] = (method, path, body, headers = {}) =>
    fetch(`${served.url}/api/v1/datasets/${path}`, {
      method,
      headers: {
        'x-actor': 'the curator',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  const read = async <S extends z.ZodType>(schema: S, path: string): Promise<z.output<S>> =>
    schema.parse(await (await call('GET', path)).json());
  return {
    ingestion,
    served,
    call,
    async change(method, path, body, headers) {
      const response = await call(method, path, body, headers);
      const answer: unknown = await response.json();
      if (response.status !== 200) throw new Error(JSON.stringify(answer));
      return datasetChangeSchema.parse(answer);
    },
    versionOf: (dataset, version) => read(datasetVersionViewSchema, `${dataset}/versions/${version}`),
    imageOf: (dataset, sha256) => read(datasetImageViewSchema, `${dataset}/images/${sha256}`),
    sourcesOf: async (dataset) => (await read(pageOf(datasetSourceViewSchema), `${dataset}/sources`)).items,
    upload: (dataset, label, bytes) => upload(ingestion, dataset, label, bytes),
    async prepare(dataset, firstImage) {
      const files = await classFolders({ dandelion: 6, grass: 6 }, firstImage);
      const folder = ingestion.folder(files);
      await ingestion.ingest({ kind: 'folder', path: folder }, dataset);
      return { folder, sha256: sha256Of(files['dandelion/0.jpg'] ?? '') };
    },
    async stop() {
      await served.stop();
      await ingestion.stop();
    },
  };
}

async function upload(
  { deps, ingest }: IngestionFixture,
  dataset: string,
  label: string,
  bytes: Uint8Array,
): ReturnType<IngestionFixture['ingest']> {
  const uploadId = await deps.uploads.createUpload({ dataset, label });
  await deps.objects.put(uploadKey(uploadId, 0), bytes, 'image/jpeg');
  await deps.uploads.addUploadFile(uploadId, 0, 'a.jpg', uploadKey(uploadId, 0), bytes.length);
  return ingest({ kind: 'upload', uploadId }, dataset);
}

/** The sentence of a problem. */
export async function detailOf(response: Response): Promise<string> {
  return z.object({ detail: z.string() }).parse(await response.json()).detail;
}
