import type { Lane } from './job-queue.js';

/** What the latest batch counts for in the moving mean of an image's time. */
const latestShare = 0.1;

/** What threads have in work, and how long they take for an image. */
export class Workload {
  readonly #threads: Record<Lane, number> = { interactive: 0, background: 0 };
  #images = 0;
  #imageMs: number | null = null;

  /** Images in work. */
  get images(): number {
    return this.#images;
  }

  /** Moving mean of the time from giving a thread an image to its answer; null before the first. */
  get imageMs(): number | null {
    return this.#imageMs;
  }

  /** Threads at work for a lane. */
  threadsFor(lane: Lane): number {
    return this.#threads[lane];
  }

  get isIdle(): boolean {
    return this.#threads.interactive + this.#threads.background === 0;
  }

  begin(lane: Lane, images: number): void {
    this.#threads[lane] += 1;
    this.#images += images;
  }

  end(lane: Lane, images: number): void {
    this.#threads[lane] -= 1;
    this.#images -= images;
  }

  /** Notes how long a thread took for images. */
  took(ms: number, images: number): void {
    const each = ms / images;
    this.#imageMs = this.#imageMs === null ? each : (1 - latestShare) * this.#imageMs + latestShare * each;
  }
}
