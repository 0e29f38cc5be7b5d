import type { Engine } from '../../model/serving/engine.js';
import type { Logger } from '../../platform/logging.js';

/** An engine as it was loaded, and the bundle it was loaded from. */
export interface LoadedEngine {
  engine: Engine;
  bundleSha256: string;
}

/** The engine that serves and the one before it, which is kept so that a rollback is a matter of milliseconds. */
export class EngineSlots {
  private current: LoadedEngine | null = null;
  private former: LoadedEngine | null = null;
  private readonly closing = new Set<Promise<void>>();

  constructor(private readonly logger: Logger) {}

  /** The engine of a bundle, if it is one of the two. */
  find(bundleSha256: string): LoadedEngine | null {
    return [this.current, this.former].find((each) => each?.bundleSha256 === bundleSha256) ?? null;
  }

  /** Lets `next` serve, or nothing; what served is kept, and what was kept and is neither of them now is released. */
  put(next: LoadedEngine | null): void {
    const held = [this.current, this.former];
    const before = this.current === null || this.current === next ? this.former : this.current;
    this.current = next;
    // What serves again is not the one before it as well: that would be released while it serves.
    this.former = before === next ? null : before;
    for (const each of held) if (each !== this.current && each !== this.former) this.release(each);
  }

  /** Releases both, and resolves when every engine has answered what it had accepted. */
  async close(): Promise<void> {
    this.put(null);
    this.release(this.former);
    this.former = null;
    await Promise.all(this.closing);
  }

  private release(loaded: LoadedEngine | null): void {
    if (loaded === null) return;
    const closed: Promise<void> = loaded.engine
      .close()
      .catch((error: unknown) => this.logger.error({ error }, 'a former engine could not be closed'))
      .finally(() => this.closing.delete(closed));
    this.closing.add(closed);
  }
}
