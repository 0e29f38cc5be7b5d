/** Memory for request bodies, over all requests, which clients share. */
export interface MemoryBudget {
  /** A body of this client, which holds nothing yet. */
  open(client: string): BodyCharge;
}

/** What one body holds of the budget. */
export interface BodyCharge {
  /** Holds this many bytes from now on; false if they cannot be had. */
  hold(bytes: number): boolean;
  /** Sets what ends the body when another client needs its memory; null once it has arrived and is in use. */
  cutWith(cut: (() => void) | null): void;
  release(): void;
}

export interface BudgetOptions {
  totalBytes: number;
  /** Called for each body that is refused or cut. */
  onShed: () => void;
}

/** Share of the total that exists beside it, for clients below their fair share: others may hold the total in use. */
const reserveShare = 1 / 8;

/**
 * A budget for bodies in memory until their answer. Bodies are charged for what has arrived, never for what they
 * announce. A client may use all of it while no other needs any. When it is short, the fair share of a client is the
 * total divided by the number of clients: a client below its share gets its bytes from the one that holds most, whose
 * youngest arriving bodies are cut.
 */
export function createMemoryBudget(options: BudgetOptions): MemoryBudget {
  return new FairBudget(options);
}

class FairBudget implements MemoryBudget {
  readonly #holders = new Map<string, Set<Charge>>();
  #usedBytes = 0;

  constructor(private readonly options: BudgetOptions) {}

  open(client: string): BodyCharge {
    return new Charge((charge, bytes) => this.#change(client, charge, bytes));
  }

  /** Changes what a charge holds, if that is possible. */
  #change(client: string, charge: Charge, bytes: number): boolean {
    const more = bytes - charge.bytes;
    if (more > 0 && !this.#makeRoom(client, more)) {
      this.options.onShed();
      return false;
    }
    this.#usedBytes += more;
    charge.bytes = bytes;
    const charges = this.#holders.get(client) ?? new Set();
    if (bytes > 0) this.#holders.set(client, charges.add(charge));
    else if (charges.delete(charge) && charges.size === 0) this.#holders.delete(client);
    return true;
  }

  #makeRoom(client: string, bytes: number): boolean {
    const { totalBytes } = this.options;
    if (this.#usedBytes + bytes <= totalBytes) return true;
    const clients = this.#holders.size + (this.#holders.has(client) ? 0 : 1);
    const shareBytes = totalBytes / clients;
    if (this.#heldBy(client) + bytes > shareBytes) return false;
    while (this.#usedBytes + bytes > totalBytes) {
      const charge = this.#youngestOfLargest(shareBytes);
      if (charge === null) break;
      this.options.onShed();
      charge.cut();
    }
    return this.#usedBytes + bytes <= totalBytes * (1 + reserveShare);
  }

  /** The youngest body that can be cut, of the client that holds most above its share. */
  #youngestOfLargest(shareBytes: number): Charge | null {
    const above = [...this.#holders.keys()].filter((client) => this.#heldBy(client) > shareBytes);
    above.sort((one, other) => this.#heldBy(other) - this.#heldBy(one));
    for (const client of above) {
      const charge = [...(this.#holders.get(client) ?? [])].findLast(({ canBeCut }) => canBeCut);
      if (charge !== undefined) return charge;
    }
    return null;
  }

  #heldBy(client: string): number {
    let bytes = 0;
    for (const charge of this.#holders.get(client) ?? []) bytes += charge.bytes;
    return bytes;
  }
}

class Charge implements BodyCharge {
  bytes = 0;
  #cut: (() => void) | null = null;
  #isReleased = false;

  constructor(private readonly change: (charge: Charge, bytes: number) => boolean) {}

  get canBeCut(): boolean {
    return this.#cut !== null;
  }

  hold(bytes: number): boolean {
    return !this.#isReleased && this.change(this, bytes);
  }

  cutWith(cut: (() => void) | null): void {
    this.#cut = cut;
  }

  cut(): void {
    const cut = this.#cut;
    this.release();
    cut?.();
  }

  release(): void {
    this.#cut = null;
    this.#isReleased = true;
    this.change(this, 0);
  }
}
