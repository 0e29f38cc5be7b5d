/** 97.5 % quantile of the standard normal distribution, for a two-sided 95 % interval. */
const quantile = 1.959963984540054;

/** The 95 % Wilson score interval of a share of `successes` in `trials`; null without trials. */
export function wilsonInterval(successes: number, trials: number): [number, number] | null {
  if (trials === 0) return null;
  const share = successes / trials;
  const square = quantile ** 2;
  const scale = 1 + square / trials;
  const centre = (share + square / (2 * trials)) / scale;
  const reach = (quantile / scale) * Math.sqrt((share * (1 - share)) / trials + square / (4 * trials ** 2));
  return [Math.max(0, centre - reach), Math.min(1, centre + reach)];
}
