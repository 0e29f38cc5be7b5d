import { PerennialError } from '../../../contracts/errors.js';
import { groupBy } from '../group-by.js';
import type { StorageGuard, StorageState } from '../../../platform/storage-guard.js';

/** Limits of the uploads that are being received, over all requests. */
export const uploadLimits = { atOnce: 32, bytes: 4_000_000_000 } as const;

const measureEveryMs = 500;

/** Admits uploads to the disk, and ends those under way when the disk runs short. */
export interface UploadQuota {
  /**
   * Throws `insufficient_storage` if the declared bytes do not fit, and `overloaded` when too many uploads are under way. A
   * client with fewer uploads than another gets a slot of that one, whose youngest upload is refused.
   */
  admit(client: string, declaredBytes: number | null): Promise<UploadUnderWay>;
  /** Throws `insufficient_storage` if the disk has no room to store received files. */
  requireRoom(bytes: number): Promise<void>;
}

export interface UploadUnderWay {
  /** Calls `refuse` once, when the disk runs short or the uploads together become too large. */
  onRefusal(refuse: (error: PerennialError) => void): void;
  /** Counts bytes that will be written. */
  add(bytes: number): void;
  /** Its files are gone. */
  end(): void;
}

export interface UploadQuotaOptions {
  storage: Pick<StorageGuard, 'measure' | 'refusal' | 'require'>;
  onShed: () => void;
  limits?: { atOnce: number; bytes: number };
}

export function createUploadQuota(options: UploadQuotaOptions): UploadQuota {
  const uploads = new Uploads(options);
  return {
    admit: (client, declaredBytes) => uploads.admit(client, declaredBytes),
    requireRoom: (bytes) => options.storage.require('upload', bytes),
  };
}

interface Counted {
  client: string;
  bytes: number;
  refuse: ((error: PerennialError) => void) | null;
}

class Uploads {
  private readonly underWay = new Set<Counted>();
  /** Bytes of all uploads since the start. */
  private received = 0;
  /** The last measurement, and `received` when it began: what came since then is not in it. */
  private measured: { state: StorageState; received: number } | null = null;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: UploadQuotaOptions) {}

  async admit(client: string, declaredBytes: number | null): Promise<UploadUnderWay> {
    const { storage } = this.options;
    this.takeSlot(client);
    const upload: Counted = { client, bytes: 0, refuse: null };
    this.underWay.add(upload);
    const end = (): void => this.end(upload);
    try {
      await this.measure();
      const refusal = storage.refusal('upload', this.estimate(), declaredBytes ?? 0);
      if (refusal) throw refusal;
    } catch (error) {
      end();
      throw error;
    }
    this.timer ??= setInterval(() => void this.watch(), measureEveryMs).unref();
    return {
      onRefusal: (refuse) => (upload.refuse = refuse),
      add: (bytes) => this.add(upload, bytes),
      end,
    };
  }

  private takeSlot(client: string): void {
    const { limits = uploadLimits } = this.options;
    if (this.underWay.size < limits.atOnce) return;
    const error = this.shed(`${limits.atOnce} uploads are being received`);
    const byClient = groupBy(this.underWay, (upload) => upload.client);
    const most = [...byClient.values()].reduce((one, other) => (other.length > one.length ? other : one));
    const youngest = most.findLast(({ refuse }) => refuse !== null);
    if (youngest === undefined || most.length <= (byClient.get(client)?.length ?? 0) + 1) throw error;
    this.underWay.delete(youngest);
    this.refuse(youngest, error);
  }

  private add(upload: Counted, bytes: number): void {
    upload.bytes += bytes;
    this.received += bytes;
    const { limits = uploadLimits } = this.options;
    const total = [...this.underWay].reduce((sum, each) => sum + each.bytes, 0);
    if (total > limits.bytes) this.refuse(upload, this.shed('the uploads being received are too large together'));
    this.refuseIfShort(upload);
  }

  /** A held upload sends nothing, so a timer looks: its files give their space back to the rest. */
  private async watch(): Promise<void> {
    await this.measure();
    for (const upload of this.underWay) this.refuseIfShort(upload);
  }

  private refuseIfShort(upload: Counted): void {
    const refusal = upload.refuse && this.options.storage.refusal('upload', this.estimate());
    if (refusal) this.refuse(upload, refusal);
  }

  private async measure(): Promise<void> {
    const { received } = this;
    this.measured = { state: await this.options.storage.measure(), received };
  }

  private estimate(): StorageState {
    if (this.measured === null) return { freeBytes: null, minFreeBytes: 0, shortage: null };
    const { state, received } = this.measured;
    const freeBytes = state.freeBytes === null ? null : state.freeBytes - (this.received - received);
    return { ...state, freeBytes };
  }

  private refuse(upload: Counted, error: PerennialError): void {
    const { refuse } = upload;
    upload.refuse = null;
    refuse?.(error);
  }

  private shed(why: string): PerennialError {
    this.options.onShed();
    return new PerennialError('overloaded', `Too many uploads: ${why}. Retry when they have ended.`);
  }

  private end(upload: Counted): void {
    this.underWay.delete(upload);
    if (this.underWay.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }
}
