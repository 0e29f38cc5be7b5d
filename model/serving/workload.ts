import type { JobRequest, Lane, Ticket } from './job-queue.js';
import type { Thread } from './thread.js';

/** What the latest batch counts for in the moving mean of an image's time. */
const latestShare = 0.1;

/** Jobs that are given to a thread at once. */
export interface Batch {
  readonly tickets: readonly Ticket[];
  readonly lane: Lane;
  readonly images: number;
  /** Whether another may be given to the thread while this one is in work. */
  readonly followable: boolean;
  readonly givenAt: number;
}

interface Hand {
  /** What the thread has, in the order in which it works on it. */
  readonly batches: Batch[];
  freeSince: number;
}

/** What threads have in hand, and how long they take for an image. */
export class Workload {
  readonly #hands = new Map<Thread, Hand>();
  #batches = 0;
  #imageMs: number | null = null;

  join(thread: Thread): void {
    this.#hands.set(thread, { batches: [], freeSince: 0 });
  }

  leave(thread: Thread): void {
    this.#hands.delete(thread);
  }

  /** Threads with nothing to do, first the one that has been free for longest. */
  get free(): Thread[] {
    const free = [...this.#hands].filter(([, { batches }]) => batches.length === 0);
    return free.sort(([, one], [, other]) => one.freeSince - other.freeSince).map(([thread]) => thread);
  }

  /**
   * The thread that has least to do, and of several the one that is at it for longest, of those that may get another
   * batch while they work; null when each has `most`.
   */
  followable(most: number): Thread | null {
    const hands = [...this.#hands].filter(
      ([, { batches }]) => batches.length > 0 && batches.length < most && batches.every(({ followable }) => followable),
    );
    hands.sort(([, a], [, b]) => a.batches.length - b.batches.length || a.freeSince - b.freeSince);
    return hands[0]?.[0] ?? null;
  }

  /** Images that threads work on. */
  get working(): number {
    return this.#sum(({ batches: [first] }) => first?.images ?? 0);
  }

  /** Images that threads have besides, to go on with. */
  get following(): number {
    return this.#sum(({ batches }) => imagesOf(batches.slice(1)));
  }

  /** What threads have besides of a request. */
  followingOf(request: JobRequest): Ticket[] {
    const following = [...this.#hands.values()].flatMap(({ batches }) => batches.slice(1));
    return following.flatMap(({ tickets }) => tickets.filter((ticket) => ticket.request === request));
  }

  /** Moving mean of the time a thread works for an image that somebody waits for; null before the first. */
  get imageMs(): number | null {
    return this.#imageMs;
  }

  /** Threads at work for a lane. */
  threadsFor(lane: Lane): number {
    return this.#sum(({ batches: [first] }) => (first?.lane === lane ? 1 : 0));
  }

  /** Whether nothing is in hand, of threads that are gone either. */
  get isIdle(): boolean {
    return this.#batches === 0;
  }

  begin(thread: Thread, batch: Batch): void {
    this.#hands.get(thread)?.batches.push(batch);
    this.#batches += 1;
  }

  /** Takes a batch out of hand. Gives the moment from which the thread worked on it. */
  end(thread: Thread, batch: Batch, now: number): number {
    this.#batches -= 1;
    const hand = this.#hands.get(thread);
    if (hand === undefined) return batch.givenAt;
    hand.batches.splice(hand.batches.indexOf(batch), 1);
    const startedAt = Math.max(batch.givenAt, hand.freeSince);
    hand.freeSince = now;
    // Work that has time is of another kind; what it takes says nothing of those who wait.
    if (batch.lane === 'interactive') this.#note((now - startedAt) / batch.images);
    return startedAt;
  }

  #note(imageMs: number): void {
    this.#imageMs = this.#imageMs === null ? imageMs : (1 - latestShare) * this.#imageMs + latestShare * imageMs;
  }

  #sum(figure: (hand: Hand) => number): number {
    let sum = 0;
    for (const hand of this.#hands.values()) sum += figure(hand);
    return sum;
  }
}

function imagesOf(batches: readonly Batch[]): number {
  return batches.reduce((sum, { images }) => sum + images, 0);
}
