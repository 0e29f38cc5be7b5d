import type { Engine } from '../../model/serving/engine.js';
import type { Logger } from '../../platform/logging.js';

/** A loaded engine and its bundle. */
export interface LoadedEngine {
  engine: Engine;
  bundleSha256: string;
}

/** Two slots, current and previous. The previous engine stays loaded so that a rollback takes milliseconds. */
export class EngineSlots {
  private current: LoadedEngine | null = null;
  private former: LoadedEngine | null = null;
  private readonly closing = new Set<Promise<void>>();

  constructor(private readonly logger: Logger) {}

  /** The engine of a bundle, if it is in a slot. */
  find(bundleSha256: string): LoadedEngine | null {
    return [this.current, this.former].find((each) => each?.bundleSha256 === bundleSha256) ?? null;
  }

  /** Makes `next` (or null) current and the current engine previous; releases an engine that leaves both slots. */
  put(next: LoadedEngine | null): void {
    const held = [this.current, this.former];
    const before = this.current === null || this.current === next ? this.former : this.current;
    this.current = next;
    // After a rollback the new engine is the previous one; keep it out of the second slot, or it would be closed while serving.
    this.former = before === next ? null : before;
    for (const each of held) if (each !== this.current && each !== this.former) this.release(each);
  }

  /** Releases both, for a model that is out of service. */
  empty(): void {
    for (const each of [this.current, this.former]) this.release(each);
    this.current = null;
    this.former = null;
  }

  /** Releases both; resolves when every engine has answered its accepted jobs. */
  async close(): Promise<void> {
    this.empty();
    await Promise.all(this.closing);
  }

  private release(loaded: LoadedEngine | null): void {
    if (loaded === null) return;
    const closed: Promise<void> = loaded.engine
      .close()
      .catch((error: unknown) => this.logger.error({ error }, 'a previous engine could not be closed'))
      .finally(() => this.closing.delete(closed));
    this.closing.add(closed);
  }
}
