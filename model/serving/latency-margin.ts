const largestShare = 0.85;
const smallestShare = 0.3;
/** An answer has a way to go yet from here: it counts as late from this share of the target on. */
const lateShare = 0.8;
/**
 * A late answer takes back what two hundred in time have added: it settles where one in two hundred is late. All that
 * were in work when something held the machine up come late together: they count as one for as long as the target.
 */
const whenLate = 0.9;
const whenInTime = 1.0005;
/** An answer in less than half of what may be expected tells that hardly anybody waits: a bad time is over. */
const whenEasy = 1.002;
/** What nothing has been heard of for so long is forgotten, by so much a second. */
const quietMs = 1_000;
const whenQuiet = 1.05;

/**
 * The share of a latency target that expected times may fill. Times vary around what is expected, on some machines
 * more than on others, so the share is learned from how many answers come late. With a small one nobody may have to
 * wait any more, and then no answer could ever tell that times are better: it grows by itself when none comes.
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

  /** Notes the time of an answer that had to wait for its thread. */
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
