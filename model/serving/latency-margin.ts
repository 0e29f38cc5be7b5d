const largestShare = 0.85;
const smallestShare = 0.3;
/** An answer has a way to go yet from here: it counts as late from this share of the target on. */
const lateShare = 0.9;
/** One late answer takes back what two hundred in time have added: it settles where one in two hundred is late. */
const whenLate = 0.9;
const whenInTime = 1.0005;

/**
 * The share of a latency target that expected times may fill. Times vary around what is expected, on some machines
 * more than on others, so the share is learned from how many answers come late.
 */
export class LatencyMargin {
  #share = largestShare;

  get share(): number {
    return this.#share;
  }

  /** Notes the time of an answer that had to wait for its thread. */
  note(latencyMs: number, targetMs: number): void {
    const factor = latencyMs > lateShare * targetMs ? whenLate : whenInTime;
    this.#share = Math.min(largestShare, Math.max(smallestShare, factor * this.#share));
  }
}
