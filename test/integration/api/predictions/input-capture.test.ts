import { mkdtemp, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import sharp from 'sharp';
import {
  createInputCapture,
  type InputCapture,
  type InputCaptureOptions,
} from '../../../../api/predictions/inputs/input-capture.js';
import type { InputResult } from '../../../../api/predictions/inputs/capture-results.js';
import { createInputSpool } from '../../../../api/predictions/inputs/capture-spool.js';
import { servingPolicySchema } from '../../../../contracts/promotion/policy.js';
import { PerennialError } from '../../../../contracts/errors.js';
import { createLogger } from '../../../../platform/logging.js';
import { uuid7 } from '../../../../platform/uuid7.js';
import type { ObjectStore } from '../../../../stores/objects/object-store.js';
import {
  createPredictionInputStore,
  removeExpiredInputs,
  type PredictionInputStore,
} from '../../../../stores/predictions/prediction-inputs.js';
import { poll } from '../../../support/api-client.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';
import { startBucket, type TestBucket } from '../../../support/bucket.js';
import { sha256Of } from '../../../support/training-fixtures.js';
import { roomyStorage } from '../../../support/storage.js';

const owner = { version: { modelName: 'a_model' }, serving: servingPolicySchema.parse({ keepInputs: 'all' }) };
const secret = 'Ada of Somewhere';

describe('captured images of predictions', () => {
  let records: TestDatabase;
  let bucket: TestBucket;
  let objects: ObjectStore;
  let inputs: PredictionInputStore;
  let folder: string;
  let capture: InputCapture;
  let counts: Partial<Record<InputResult, number>>;
  let image: Uint8Array;

  beforeAll(async () => {
    [records, bucket] = await Promise.all([startTestDatabase(), startBucket()]);
    ({ objects } = bucket);
    inputs = createPredictionInputStore(records.db);
    image = await sharp({ create: { width: 40, height: 30, channels: 3, background: '#208020' } })
      .jpeg()
      .withExif({ IFD0: { Artist: secret } })
      .toBuffer();
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'perennial-test-inputs-'));
    counts = {};
    capture = captureIn(folder);
  });
  afterEach(async () => {
    await capture.stop();
    await rm(folder, { recursive: true, force: true });
  });
  afterAll(async () => {
    await Promise.all([records.stop(), bucket.stop()]);
  });

  function captureIn(
    path: string,
    replaced: Partial<Pick<InputCaptureOptions, 'objects' | 'storage'>> & { spoolBytes?: number } = {},
  ): InputCapture {
    return createInputCapture({
      objects: replaced.objects ?? objects,
      inputs,
      spool: createInputSpool(path, replaced.spoolBytes ?? 1_000_000),
      storage: replaced.storage ?? roomyStorage,
      count: (result) => (counts[result] = (counts[result] ?? 0) + 1),
      logger: createLogger('test', 'silent'),
    });
  }
  const offer = (to = capture, bytes = image, id = uuid7()): string => {
    to.offer(owner, { predictionId: id, imageSha256: sha256Of(bytes), bytes });
    return id;
  };
  /** An object store whose calls fail immediately. */
  function unavailableObjects(): ObjectStore {
    const unavailable = () => Promise.reject(new Error('the object store is unavailable'));
    return { ...objects, put: unavailable, delete: unavailable };
  }

  it('are stored without metadata, with a digest that differs from the one of the file sent', async () => {
    const id = offer();
    await capture.flush();
    const input = await inputs.get(id);
    const bytes = await objects.get(input?.objectKey ?? '');
    expect(Buffer.from(image).includes(secret)).toBe(true);
    expect(Buffer.from(bytes).includes(secret)).toBe(false);
    expect(input).toMatchObject({
      modelName: 'a_model',
      imageSha256: sha256Of(image),
      contentSha256: sha256Of(bytes),
      sizeBytes: bytes.length,
      contentType: 'image/jpeg',
    });
    const days = (Date.parse(input?.expiresAt ?? '') - Date.parse(input?.createdAt ?? '')) / 86_400_000;
    expect(days).toBe(30);
    expect(input?.objectKey).toBe(`predictions/inputs/a_model/${input?.createdAt.slice(0, 10) ?? ''}/${id}`);
    expect(counts).toEqual({ kept: 1 });
  });

  it('are not stored when their metadata cannot be removed', async () => {
    const id = offer(capture, image.subarray(0, image.length - 4));
    await capture.flush();
    expect(await inputs.get(id)).toBeNull();
    expect(counts).toEqual({ unreadable: 1 });
  });

  it('are dropped and counted when more arrive than memory can hold', async () => {
    const ids = Array.from({ length: 600 }, () => offer());
    await capture.flush();
    expect(counts).toEqual({ kept: 500, dropped: 100 });
    expect(await inputs.get(ids[499] ?? '')).not.toBeNull();
    expect(await inputs.get(ids[500] ?? '')).toBeNull();
  });

  it('are dropped and counted while the disk is short of space, and stored again afterwards', async () => {
    let isShort = true;
    const full = new PerennialError('insufficient_storage', 'The disk is full.');
    const require = (): Promise<void> => (isShort ? Promise.reject(full) : Promise.resolve());
    const short = captureIn(folder, { storage: { require } });
    const dropped = offer(short);
    await short.flush();
    isShort = false;
    const kept = offer(short);
    await short.flush();
    expect(counts).toEqual({ dropped: 1, kept: 1 });
    expect(await inputs.get(dropped)).toBeNull();
    expect(await inputs.get(kept)).not.toBeNull();
    await short.stop();
  });

  it('wait on disk without metadata while the object store is unavailable, and are stored later', async () => {
    await bucket.server.pause();
    const ids = [offer(), offer(), offer()];
    await capture.flush();
    expect(counts).toEqual({ spooled: 3 });
    expect((await readdir(join(folder))).sort()).toEqual(ids.map((id) => `${id}.input`).sort());
    await bucket.server.resume();
    await poll(
      () => Promise.all(ids.map((id) => inputs.get(id))),
      (found) => found.every((input) => input !== null),
    );
    await poll(
      () => readdir(folder),
      (names) => names.length === 0,
    );
    expect(counts).toEqual({ spooled: 3, kept: 3 });
  }, 60_000);

  it('wait on disk through a restart, and a foreign file does no harm', async () => {
    const unavailable = captureIn(folder, { objects: unavailableObjects() });
    const id = offer(unavailable);
    await unavailable.flush();
    await unavailable.stop();
    await writeFile(join(folder, 'rubbish.input'), 'no line of JSON');
    await capture.adopt();
    const input = await inputs.get(id);
    expect(await readdir(folder)).toEqual([]);
    // Retention may be removing an object that was stored long ago without its row.
    const claims = await records.db.query('SELECT FROM object_claims WHERE object_key = $1', [input?.objectKey]);
    expect(claims).toHaveLength(1);
  });

  it('are not left half written on disk by a killed process', async () => {
    const [left, underWay] = [join(folder, `${uuid7()}.part`), join(folder, `${uuid7()}.part`)];
    for (const path of [left, underWay]) await writeFile(path, image);
    const longAgo = new Date(Date.now() - 2 * 3_600_000);
    await utimes(left, longAgo, longAgo);
    await capture.adopt();
    expect(await readdir(folder)).toEqual([basename(underWay)]);
  });

  it('stay on disk while their file cannot be read', async () => {
    const unavailable = captureIn(folder, { objects: unavailableObjects() });
    const id = offer(unavailable);
    await unavailable.flush();
    await unavailable.stop();
    const name = `${id}.input`;
    await rename(join(folder, name), join(folder, 'elsewhere'));
    // A symbolic link to itself: an error other than a missing file.
    await symlink(name, join(folder, name));
    await capture.adopt();
    expect(await readdir(folder)).toContain(name);
    await rename(join(folder, 'elsewhere'), join(folder, name));
    await capture.adopt();
    expect(await inputs.get(id)).not.toBeNull();
  });

  it('are not lost by a shutdown while they are being stored', async () => {
    const stuck = { ...objects, put: () => new Promise<void>(() => undefined) };
    const stopping = captureIn(folder, { objects: stuck });
    const ids = [offer(stopping), offer(stopping), offer(stopping), offer(stopping)];
    await stopping.stop();
    expect((await readdir(folder)).sort()).toEqual(ids.map((id) => `${id}.input`).sort());
    offer(stopping);
    expect(await readdir(folder)).toHaveLength(4);
  });

  it('do not fill the disk', async () => {
    const small = captureIn(folder, { objects: unavailableObjects(), spoolBytes: 1_000 });
    for (let count = 0; count < 5; count += 1) offer(small);
    await small.flush();
    await small.stop();
    expect((counts.spooled ?? 0) + (counts.dropped ?? 0)).toBe(5);
    expect(counts.dropped).toBeGreaterThan(0);
    expect((await readdir(folder)).length).toBe(counts.spooled ?? 0);
  });

  it('are deleted when they expire', async () => {
    const [old, young] = [offer(), offer()];
    await capture.flush();
    const key = (await inputs.get(old))?.objectKey ?? '';
    await records.db.query(
      `UPDATE prediction_inputs SET expires_at = now() - interval '1 s' WHERE prediction_id = $1`,
      [old],
    );
    expect(await inputs.get(old)).toBeNull();
    expect(await inputs.countExpired()).toBe(1);
    expect(await removeExpiredInputs({ inputs, objects })).toBe(1);
    expect(await objects.head(key)).toBeNull();
    expect(await inputs.get(young)).not.toBeNull();
  });

  it('are not stored after an erasure that came first', async () => {
    const id = uuid7();
    await records.db.query(
      `INSERT INTO predictions (id, created_at, model_name, version, generation, replica, bundle_sha256, predicted,
         confidence, probabilities, latency_ms, route, erased_at)
       VALUES ($1, to_timestamp($2::double precision / 1000), 'a_model', 1, 1, 'r', 'b', 'grass', 1, NULL, 1, 'predict', now())`,
      [id, Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)],
    );
    offer(capture, image, id);
    await capture.flush();
    expect(counts).toEqual({ erased: 1 });
    expect(await inputs.get(id)).toBeNull();
    const names: string[] = [];
    for await (const { key } of objects.list('predictions/inputs/')) names.push(key);
    expect(names.some((key) => key.endsWith(id))).toBe(false);
  });
});
