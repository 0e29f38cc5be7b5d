/** What one server did under a load. */
export interface Measured {
  goodPerSecond: number;
  /** Latencies of good answers alone: a refusal is fast, and no answer. */
  p50Ms: number;
  p95Ms: number;
  /** CPU time of all threads of the server, divided by its good answers. */
  cpuMs: number;
  residentMb: number;
  /** Share of the answers that were refusals. */
  refused: number;
  /** Share of one core that the load client took. */
  clientCores: number;
}

export interface Round {
  peer: Measured;
  product: Measured;
}

type FigureName = keyof Measured;

const figures: Readonly<Record<FigureName, { label: string; digits: number }>> = {
  goodPerSecond: { label: 'good answers/s', digits: 0 },
  p50Ms: { label: 'p50 ms', digits: 1 },
  p95Ms: { label: 'p95 ms', digits: 1 },
  cpuMs: { label: 'CPU ms a good answer', digits: 2 },
  residentMb: { label: 'resident MB', digits: 0 },
  refused: { label: 'share refused', digits: 2 },
  clientCores: { label: 'cores of the load client', digits: 2 },
};
const names = ['goodPerSecond', 'p50Ms', 'p95Ms', 'cpuMs', 'residentMb', 'refused', 'clientCores'] as const;

/**
 * A row for each figure: the medians of both servers over all rounds, and the median of the ratios within a round, which
 * had the same machine and the same load.
 */
export function compare(what: string, rounds: readonly Round[]): string[][] {
  return names.map((name) => {
    const { label, digits } = figures[name];
    const of = (side: keyof Round): string => median(rounds.map((round) => round[side][name])).toFixed(digits);
    const ratio = median(rounds.map(({ peer, product }) => product[name] / peer[name]));
    return [what, label, of('peer'), of('product'), Number.isFinite(ratio) ? `${ratio.toFixed(2)}×` : ''];
  });
}

/** The middle value; of an even number the lower of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length / 2) - 1] ?? NaN;
}
