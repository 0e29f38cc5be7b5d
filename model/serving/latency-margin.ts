const largestShare = 0.85;
const smallestShare = 0.3;
/** An answer counts as late from this share of the target on, because it still has to reach the client. */
const lateShare = 0.8;
/**
 * A late answer undoes two hundred timely ones, so the share settles where one in two hundred is late. When the machine
 * stalls, all answers in progress are late together: they count as one for as long as the target.
 */
const whenLate = 0.9;
const whenInTime = 1.0005;
/** An answer in less than half the allowed time shows that the queue is short: the overload is over. */
const whenEasy = 1.002;
/** After this long without an answer the share grows again, by this factor per second. */
const quietMs = 1_000;
const whenQuiet = 1.05;

/**
 * The share of a latency target that expected latencies may use. Latencies vary around what is expected, on some
 * machines more than on others, so the share is learned from how many answers are late. A very small share refuses
 * every request that would have to wait, and then no answer could show that latencies are better: the share therefore
 * grows while there are no answers.
 */
export class LatencyMargin {
  readonly #clock: () => number;
  #share = largestShare;
  #notedAt = -Infinity;
  #cutAt = -Infinity;

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
  }

  get share(): number {
    const quietSeconds = Math.max(0, this.#clock() - this.#notedAt - quietMs) / 1_000;
    return Math.min(largestShare, this.#share * whenQuiet ** quietSeconds);
  }

  /** Records the latency of an answer that had to wait for its thread. */
  note(latencyMs: number, targetMs: number): void {
    const now = this.#clock();
    const isLate = latencyMs > lateShare * targetMs;
    const isCounted = isLate && now - this.#cutAt < targetMs;
    if (isLate && !isCounted) this.#cutAt = now;
    const isEasy = latencyMs < (this.share * targetMs) / 2;
    const factor = isCounted ? 1 : isLate ? whenLate : isEasy ? whenEasy : whenInTime;
    this.#share = Math.min(largestShare, Math.max(smallestShare, factor * this.share));
    this.#notedAt = now;
  }
}
