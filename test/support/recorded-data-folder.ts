import { execFile } from 'node:child_process';
import { createReadStream, createWriteStream, readdirSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { constants, createBrotliCompress, createBrotliDecompress } from 'node:zlib';
import { z } from 'zod';
import { predictionSchema } from '../../contracts/inference/http-predict.js';
import { packageRoot } from '../../platform/paths.js';
import { drawSyntheticImage, type SyntheticLabel } from '../../model/images/synthetic.js';
import type { ApiClient } from './api-client.js';

/** Data folders that older releases wrote, and what those releases answered; see the README there. */
const recordings = join(packageRoot, 'test/fixtures/data-folder');

export interface RecordingFiles {
  folder: string;
  archive: string;
  answers: string;
  /** The image of the recorded prediction. */
  image: string;
}

export function filesOf(commit: string): RecordingFiles {
  const folder = join(recordings, commit);
  return {
    folder,
    archive: join(folder, 'data-folder.tar.br'),
    answers: join(folder, 'answers.json'),
    image: join(folder, 'image.jpg'),
  };
}

/** The commits that recorded a data folder. */
export function recordedCommits(): string[] {
  const entries = readdirSync(recordings, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** The precision variant that is served. Unlike int8, fp32 gives the same probabilities on every processor. */
export const fixtureSettings = { SERVING_VARIANT: 'fp32', PUBLIC_DATASET_URL: 'http://127.0.0.1:9' };

export const fixtureModel = 'dandelion_grass_classifier';
export const fixtureDataset = 'dandelion_grass';

/** The body of an upload of drawn images, those of an index from `from` on. */
export async function drawnImages(label: SyntheticLabel, from: number, count: number): Promise<FormData> {
  const form = new FormData();
  form.append('label', label);
  for (let index = from; index < from + count; index++) {
    const bytes = new Uint8Array(await drawSyntheticImage(label, index));
    form.append('files', new Blob([bytes]), `${label} ${index}.jpg`);
  }
  return form;
}

/** Lists that HTTP offers, each with the field that identifies an item of it. */
const lists = {
  '/api/v1/mlops/models': 'name',
  [`/api/v1/mlops/models/${fixtureModel}/versions`]: 'version',
  [`/api/v1/mlops/models/${fixtureModel}/history`]: 'generation',
  [`/api/v1/mlops/models/${fixtureModel}/aliases`]: 'alias',
  '/api/v1/mlops/retraining/history': 'id',
  '/api/v1/approvals': 'id',
  '/api/v1/audit': 'id',
  '/api/v1/batch-predictions': 'id',
  '/api/v1/datasets': 'name',
  '/api/v1/erasures': 'erasure_id',
  '/api/v1/experiments': 'name',
  [`/api/v1/experiments/${fixtureModel}/runs`]: 'run_id',
  '/api/v1/labels': 'label_id',
  '/api/v1/notifications': 'id',
  '/api/v1/pipelines': 'id',
  '/api/v1/predictions': 'prediction_id',
  '/api/v1/schedules': 'id',
  '/api/v1/searches': 'run_id',
};

/** Lists that come whole. */
const unpaged = [`/api/v1/mlops/models/${fixtureModel}/aliases`, '/api/v1/schedules'];

const idSchema = z.union([z.string(), z.number()]);
const pageSchema = z.object({
  items: z.array(z.record(z.string(), z.unknown())),
  next_page_token: z.null().optional(),
});

/** The identifiers of every item of every list, by path. */
export async function readLists(api: ApiClient): Promise<Answers['lists']> {
  const read: Answers['lists'] = {};
  for (const [path, id] of Object.entries(lists)) {
    const { status, body } = await api.get(unpaged.includes(path) ? path : `${path}?limit=200`);
    if (status !== 200) throw new Error(`${path} answered ${status}: ${JSON.stringify(body)}`);
    read[path] = pageSchema.parse(body).items.map((item) => idSchema.parse(item[id]));
  }
  return read;
}

/** Responses of the older release. `details` are whole responses by path, for resources that never change. */
export const answersSchema = z.object({
  commit: z.string(),
  recordedAt: z.iso.datetime(),
  platform: z.string().describe('like linux-x64'),
  postgres: z.string().describe('major version'),
  prediction: predictionSchema.pick({
    prediction_id: true,
    prediction: true,
    probabilities: true,
    model_version: true,
  }),
  lists: z.record(z.string(), z.array(idSchema)),
  details: z.record(z.string(), z.unknown()),
  policy: z.record(z.string(), z.unknown()),
  /** A promotion that waits for a person, as an open workflow. */
  waiting: z.object({ runId: z.string(), version: z.string(), expiresAt: z.iso.datetime() }),
});
export type Answers = z.infer<typeof answersSchema>;

const run = promisify(execFile);
// The S3 server stores content types and the owner of the bucket in extended attributes.
const tarOptions = ['--xattrs', '--xattrs-include=user.*'];
// Postgres stores three nearly equal databases: a compression window larger than one of them finds the repetition.
const windowBits = 26;
const large = {
  [constants.BROTLI_PARAM_LARGE_WINDOW]: 1,
  [constants.BROTLI_PARAM_LGWIN]: windowBits,
};

/** Archives a data folder of a stopped product, without what the next start makes anew. */
export async function archiveDataFolder(home: string, archive: string): Promise<void> {
  const plain = `${home}.tar`;
  const entries = ['layout.json', 'postgres', 's3', 'temporal'];
  await run('tar', [...tarOptions, '--numeric-owner', '-cf', plain, '-C', home, ...entries]);
  const compress = createBrotliCompress({ params: { ...large, [constants.BROTLI_PARAM_QUALITY]: 11 } });
  await pipeline(createReadStream(plain), compress, createWriteStream(archive));
  await rm(plain);
}

export async function unpackDataFolder(archive: string, home: string): Promise<void> {
  const plain = `${home}.tar`;
  const decompress = createBrotliDecompress({ params: { [constants.BROTLI_DECODER_PARAM_LARGE_WINDOW]: 1 } });
  await pipeline(createReadStream(archive), decompress, createWriteStream(plain));
  await mkdir(home, { recursive: true });
  await run('tar', [...tarOptions, '-xpf', plain, '-C', home]);
  await rm(plain);
}
