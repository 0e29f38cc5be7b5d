import { errorCodeOf, messageOf } from '../../../contracts/errors.js';
import type { ServingPolicy } from '../../../contracts/promotion/policy.js';
import { capturesInput } from '../../../domain/predictions/captures-input.js';
import { stripMetadata } from '../../../model/images/strip-metadata.js';
import { backoffMs } from '../../../platform/backoff.js';
import type { Logger } from '../../../platform/logging.js';
import type { StorageGuard } from '../../../platform/storage-guard.js';
import { withTimeLimit } from '../../../platform/time-limit.js';
import { timeOfUuid7 } from '../../../platform/uuid7.js';
import { predictionInputKey } from '../../../stores/objects/object-keys.js';
import { isRefusedData } from '../../../stores/postgres/database-faults.js';
import type { ObjectStore } from '../../../stores/objects/object-store.js';
import type { PredictionInputStore } from '../../../stores/predictions/prediction-inputs.js';
import type { InputResult } from './capture-results.js';
import type { InputSpool, SentInput } from './capture-spool.js';
import { sha256Of } from '../../../platform/sha256.js';

/** Maximum bytes of images in memory; further ones are dropped. About two seconds of uploads. */
const bufferItems = 500;
const bufferBytes = 64_000_000;
const uploadsAtOnce = 2;
const retryMs = { first: 500, most: 30_000 };
const stopMs = 2_000;
const dayMs = 86_400_000;

export interface OfferedInput {
  predictionId: string;
  imageSha256: string;
  bytes: Uint8Array;
}

/** Fields of the model that decide whether its images are captured. */
export interface InputOwner {
  version: { modelName: string };
  serving: ServingPolicy;
}

/**
 * Captures images of predictions according to the policy, after the answer: stores them without metadata in the object
 * store and records them in Postgres. While either is unavailable they wait on disk.
 */
export interface InputCapture {
  /** Captures an image if the policy asks for it. Never blocks and never throws. */
  offer(owner: InputOwner, input: OfferedInput): void;
  /** Resolves when every captured image is stored, on disk, or dropped. */
  flush(): Promise<void>;
  /** Stores the images on disk, including those of dead processes. */
  adopt(): Promise<void>;
  /** Stores what it can in two seconds and leaves the rest on disk. Call it after the last prediction. */
  stop(): Promise<void>;
}

export interface InputCaptureOptions {
  objects: Pick<ObjectStore, 'put' | 'delete'>;
  inputs: Pick<PredictionInputStore, 'add' | 'claim'>;
  spool: InputSpool;
  storage: Pick<StorageGuard, 'require'>;
  count: (result: InputResult) => void;
  logger: Logger;
}

export function createInputCapture(options: InputCaptureOptions): InputCapture {
  return new Keeping(options);
}

/** Captures nothing, whatever the policy. */
export const noInputCapture: InputCapture = {
  offer: () => undefined,
  flush: () => Promise.resolve(),
  adopt: () => Promise.resolve(),
  stop: () => Promise.resolve(),
};

class Keeping implements InputCapture {
  private readonly buffer: SentInput[] = [];
  private bufferedBytes = 0;
  /** Taken from the buffer and not settled. */
  private readonly underway = new Set<SentInput>();
  private readonly running = new Set<Promise<void>>();
  private draining: Promise<void> | null = null;
  private failures = 0;
  private retryTimer: NodeJS.Timeout | undefined;
  private stopped = false;
  private readonly logged = new Set<InputResult>();

  constructor(private readonly options: InputCaptureOptions) {}

  offer({ version, serving }: InputOwner, { predictionId, imageSha256, bytes }: OfferedInput): void {
    if (this.stopped || !capturesInput(predictionId, serving)) return;
    if (this.buffer.length >= bufferItems || this.bufferedBytes + bytes.byteLength > bufferBytes) {
      this.settle('dropped', 'images arrive faster than the object store accepts them');
      return;
    }
    const madeAt = timeOfUuid7(predictionId)?.getTime() ?? Date.now();
    const expiresAt = new Date(madeAt + serving.inputDays * dayMs).toISOString();
    const facts = { predictionId, modelName: version.modelName, imageSha256, contentType: '', expiresAt };
    this.buffer.push({ ...facts, bytes: ownBytes(bytes) });
    this.bufferedBytes += bytes.byteLength;
    // On a later event-loop turn, so that the answer is sent first.
    if (this.running.size < uploadsAtOnce) setImmediate(() => this.startUpload());
  }

  async flush(): Promise<void> {
    while (this.buffer.length > 0 || this.running.size > 0) {
      this.startUpload();
      await Promise.all(this.running);
    }
  }

  adopt(): Promise<void> {
    this.draining ??= this.drainSpool().finally(() => {
      this.draining = null;
    });
    return this.draining;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.retryTimer);
    await withTimeLimit(stopMs, this.flush()).catch(() => undefined);
    // An upload in flight may still succeed; storing the image twice is idempotent.
    for (const input of [...this.underway, ...this.buffer.splice(0)]) {
      const stripped = strip(input);
      if (stripped) await this.toSpool(stripped);
    }
  }

  private startUpload(): void {
    if (this.running.size >= uploadsAtOnce || this.buffer.length === 0) return;
    const upload: Promise<void> = this.emptyBuffer().finally(() => void this.running.delete(upload));
    this.running.add(upload);
  }

  private async emptyBuffer(): Promise<void> {
    for (let input = this.buffer.shift(); input; input = this.buffer.shift()) {
      this.underway.add(input);
      this.bufferedBytes -= input.bytes.byteLength;
      await this.keep(input);
      this.underway.delete(input);
    }
  }

  private async keep(taken: SentInput): Promise<void> {
    const input = strip(taken);
    if (!input) {
      this.settle('unreadable', 'the image file is malformed, so its metadata cannot be removed');
      return;
    }
    try {
      await this.options.storage.require('capture');
    } catch (error) {
      this.settle('dropped', messageOf(error));
      return;
    }
    // While the stores are unavailable, do not wait for them once per image.
    if (this.failures > 0) {
      await this.toSpool(input);
      this.scheduleRetry();
      return;
    }
    try {
      await this.send(input);
    } catch (error) {
      await this.toSpool(input);
      this.retryLater(error);
    }
  }

  /** Store the object first, so that every row has its object; retention removes objects without a row. */
  private async send(
    { bytes, predictionId, modelName, ...facts }: SentInput,
    { again } = { again: false },
  ): Promise<void> {
    const createdAt = timeOfUuid7(predictionId) ?? new Date();
    const objectKey = predictionInputKey(modelName, createdAt, predictionId);
    // A former attempt may have stored it long ago without its row.
    if (again) await this.options.inputs.claim(objectKey);
    await this.options.objects.put(objectKey, bytes, facts.contentType);
    const isKept = await this.options.inputs.add({
      ...facts,
      predictionId,
      createdAt: createdAt.toISOString(),
      modelName,
      objectKey,
      contentSha256: await sha256Of(bytes),
      sizeBytes: bytes.byteLength,
    });
    if (!isKept) await this.options.objects.delete(objectKey);
    this.settle(isKept ? 'kept' : 'erased');
  }

  private async toSpool(input: SentInput): Promise<void> {
    try {
      if (await this.options.spool.put(input)) this.settle('spooled');
      else this.settle('dropped', 'the disk space for waiting images is used up');
    } catch (error) {
      this.settle('dropped', `an image can neither be stored nor written to disk: ${messageOf(error)}`);
    }
  }

  private async drainSpool(): Promise<void> {
    try {
      for (
        let names = await this.options.spool.waiting();
        names.length > 0;
        names = await this.options.spool.waiting()
      ) {
        for (const name of names) {
          if (this.stopped) return;
          await this.sendFromSpool(name);
        }
      }
      if (this.failures > 0) this.options.logger.info('captured images are stored again');
      this.failures = 0;
    } catch (error) {
      this.retryLater(error);
    }
  }

  private async sendFromSpool(name: string): Promise<void> {
    const input = await this.options.spool.read(name);
    try {
      if (input) await this.send(input, { again: true });
    } catch (error) {
      // An image that Postgres refuses must not block the others.
      if (!isRefusedData(error)) throw error;
      this.settle('dropped', messageOf(error));
    }
    await this.options.spool.remove(name);
  }

  private retryLater(error: unknown): void {
    if (this.failures === 0) {
      const reason = { code: errorCodeOf(error), error: messageOf(error) };
      this.options.logger.warn(reason, 'captured images wait on disk');
    }
    this.failures += 1;
    this.scheduleRetry();
  }

  private scheduleRetry(): void {
    if (this.stopped) return;
    this.retryTimer ??= setTimeout(
      () => {
        this.retryTimer = undefined;
        void this.adopt();
      },
      backoffMs(retryMs, this.failures),
    ).unref();
  }

  /** Logs the first loss of each kind; the metric counts all. */
  private settle(result: InputResult, why?: string): void {
    this.options.count(result);
    if (why === undefined || this.logged.has(result)) return;
    this.logged.add(result);
    this.options.logger.warn({ result, reason: why }, 'an image of a prediction was not captured');
  }
}

/** Copy the image: it may be a small part of a large body, which must not stay in memory. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength > 2 * bytes.byteLength ? new Uint8Array(bytes) : bytes;
}

function strip(input: SentInput): SentInput | null {
  const stripped = stripMetadata(input.bytes);
  return stripped && { ...input, bytes: stripped.bytes, contentType: `image/${stripped.format}` };
}
