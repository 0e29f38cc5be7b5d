/** Round values that cover `low` to `high`, about `count` of them, at distances of 1, 2 or 5 times a power of ten. */
export function roundTicks(low: number, high: number, count: number): number[] {
  const span = high > low ? high - low : Math.max(Math.abs(high), 1) / 10;
  const magnitude = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 5, 10].map((factor) => factor * magnitude).find((size) => span / size <= count) ?? span;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(Math.ceil(high / step - 1e-9), first + 1);
  // Multiples of the step, rounded: 3 × 0.1 is not 0.3.
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

/** Whole numbers from `first` to `last`, both shown where possible, about `count` of them. */
export function wholeTicks(first: number, last: number, count: number): number[] {
  const ticks = roundTicks(first, last, Math.max(1, Math.min(count, last - first)));
  return ticks.filter((tick) => Number.isInteger(tick) && tick >= first && tick <= last);
}
