import type { ServerResponse } from 'node:http';

export interface RefusalPace {
  /** Refusals a second. As many may leave at once after a quiet time. */
  perSecond: number;
  /** The longest that one waits for its turn. */
  longestMs: number;
  /** Refusals that may wait; the connection of one more is closed. */
  mostHeld: number;
}

/**
 * Twenty a second cost about a hundredth of two cores. A thousand that wait hold at most what their sockets buffer of
 * unread bodies, about 64 kB each. Together with the longest wait they are a hundred refusals a second at most.
 */
const defaultPace: RefusalPace = { perSecond: 20, longestMs: 10_000, mostHeld: 1_000 };

interface Held {
  answer: () => void;
  since: number;
  timer: NodeJS.Timeout | null;
}

/**
 * Refusals leave at a steady pace. Clients that send their requests again at once, against Retry-After, would otherwise
 * take the machine from those that were let in: a refusal costs an eighth of a prediction. So a refusal beyond the pace waits
 * for its turn, and its client with it. The body stays unread. While as many wait as may, new connections are not read.
 */
export class HeldRefusals {
  readonly #pace: RefusalPace;
  readonly #clock: () => number;
  readonly #held = new Set<Held>();
  /** Up to when the pace is used up: each refusal moves it by the time that one has. */
  #usedUntil = -Infinity;
  #timer: NodeJS.Timeout | null = null;
  #isReleased = false;
  readonly #whenRoom: (() => void)[] = [];

  constructor(pace: RefusalPace = defaultPace, clock: () => number = () => performance.now()) {
    this.#pace = pace;
    this.#clock = clock;
  }

  /** Refusals that wait. */
  get held(): number {
    return this.#held.size;
  }

  /** How many more may wait: at 0 new connections should not be read. */
  get room(): number {
    return this.#isReleased ? Infinity : Math.max(0, this.#pace.mostHeld - this.#held.size);
  }

  /** Calls `enter` whenever there is room again. */
  onRoom(enter: () => void): void {
    this.#whenRoom.push(enter);
  }

  /** Calls `answer` when the turn of this response has come, at `deadlineAt` at the latest, unless its client has left. */
  hold(response: ServerResponse, answer: () => void, deadlineAt = Infinity): void {
    if (this.#isReleased || (this.#held.size === 0 && this.#mayGo())) {
      answer();
      return;
    }
    // An answer would bring the next request of its client; a new connection is not read before there is room.
    if (this.room === 0) response.destroy();
    else this.#keep(response, answer, deadlineAt);
  }

  /** Answers all that wait, and every later refusal at once: the API shuts down. */
  release(): void {
    this.#isReleased = true;
    for (const held of this.#held) this.#answer(held);
    for (const enter of this.#whenRoom) enter();
  }

  #keep(response: ServerResponse, answer: () => void, deadlineAt: number): void {
    const held: Held = { answer, since: this.#clock(), timer: null };
    this.#held.add(held);
    response.once('close', () => this.#drop(held));
    if (deadlineAt !== Infinity) held.timer = setTimeout(() => this.#answer(held), deadlineAt - this.#clock()).unref();
    this.#wake();
  }

  /** Whether one refusal may leave now; it then counts. */
  #mayGo(): boolean {
    const [now, oneMs] = [this.#clock(), 1_000 / this.#pace.perSecond];
    // A second of quiet is the most that counts, so that no more than a second's refusals leave at once.
    const from = Math.max(this.#usedUntil, now - 1_000);
    if (from + oneMs > now) return false;
    this.#usedUntil = from + oneMs;
    return true;
  }

  #wake(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      for (const held of this.#held) {
        if (held.since + this.#pace.longestMs > this.#clock() && !this.#mayGo()) break;
        this.#answer(held);
      }
      if (this.#held.size > 0) this.#wake();
    }, 1_000 / this.#pace.perSecond).unref();
  }

  #answer(held: Held): void {
    this.#drop(held);
    held.answer();
  }

  #drop(held: Held): void {
    if (!this.#held.delete(held)) return;
    if (held.timer !== null) clearTimeout(held.timer);
    for (const enter of this.#whenRoom) enter();
  }
}
