import type { SearchBudget, SearchSpace, Trial } from '../../contracts/experiments/tuning.js';

/** A round of a search: `trials` trials are trained to `epochs` epochs and compared. Numbers begin with 1. */
export interface Rung {
  number: number;
  epochs: number;
  trials: number;
}

/** Result of a trial at a rung; the loss is null when it failed. */
export interface TrialScore {
  trial: number;
  loss: number | null;
}

/** Consecutive repeated draws after which a space counts as exhausted. */
const maxRepeatedDraws = 200;

/**
 * Draws at most `count` different combinations of hyperparameters from the space; fewer when it holds fewer. Each draw
 * depends only on the seed and its index: a longer search begins with the trials of a shorter one.
 */
export function sampleTrials(
  space: SearchSpace,
  count: number,
  { seed, maxEpochs }: Pick<SearchBudget, 'seed' | 'maxEpochs'>,
): Trial[] {
  const trials: Trial[] = [];
  const known = new Set<string>();
  let repeated = 0;
  for (let draw = 0; trials.length < count && repeated < maxRepeatedDraws; draw += 1) {
    const hyperparameters = { ...choose(space, (dimension) => unitOf(seed, draw, dimension)), epochs: maxEpochs };
    const key = JSON.stringify(hyperparameters);
    repeated = known.has(key) ? repeated + 1 : 0;
    if (repeated === 0) trials.push({ number: trials.length + 1, hyperparameters });
    known.add(key);
  }
  return trials;
}

function choose(space: SearchSpace, unit: (dimension: number) => number): Omit<Trial['hyperparameters'], 'epochs'> {
  const architecture = pick(space.architecture, unit(0));
  const isCnn = architecture === 'cnn';
  return {
    architecture,
    learningRate: between(space.learningRate, unit(1)),
    weightDecay: between(space.weightDecay, unit(2)),
    batchSize: pick(space.batchSize, unit(3)),
    classWeights: pick(space.classWeights, unit(4)),
    earlyStoppingPatience: pick(space.earlyStoppingPatience, unit(5)),
    seed: pick(space.seed, unit(6)),
    // Hyperparameters that an architecture ignores must not make two trials of one.
    fineTuneBlocks: isCnn ? 0 : pick(space.fineTuneBlocks, unit(7)),
    filters: isCnn ? pick(space.filters, unit(8)) : [16, 32, 64],
  };
}

function pick<T>(values: readonly T[], unit: number): T {
  const value = values[Math.floor(unit * values.length)];
  if (value === undefined) throw new Error('A search needs at least one value to choose from.');
  return value;
}

/** A value of four digits between the bounds, evenly distributed by logarithm. */
function between({ min, max }: { min: number; max: number }, unit: number): number {
  const value = Math.exp(Math.log(min) + unit * Math.log(max / min));
  return Math.min(max, Math.max(min, Number(value.toPrecision(4))));
}

/** Hashes numbers to [0, 1), with the finaliser of MurmurHash3 after each. */
function unitOf(...parts: readonly number[]): number {
  let state = 0x9e3779b9;
  for (const part of parts) {
    state ^= part;
    state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
    state = (state ^ (state >>> 16)) + 0x6d2b79f5;
  }
  return (state >>> 0) / 2 ** 32;
}

/**
 * The rungs of a bracket of `trials`: from each, one trial in `eta` continues with `eta` times the epochs, up to
 * `maxEpochs` in the last. There are as many as fit above `minEpochs`, but no more than it takes to reach one trial.
 */
export function rungs(trials: number, eta: number, minEpochs: number, maxEpochs: number): Rung[] {
  const result: Rung[] = [];
  const cuts = Math.min(timesDivisible(maxEpochs / minEpochs, eta), timesDivisible(trials, eta));
  for (let number = 1, remaining = trials; number <= cuts + 1; number += 1, remaining = Math.ceil(remaining / eta)) {
    result.push({ number, epochs: Math.round(maxEpochs / eta ** (cuts + 1 - number)), trials: remaining });
  }
  return result;
}

/** How many times a number can be divided before it falls below 1. */
function timesDivisible(value: number, divisor: number): number {
  return value < divisor ? 0 : 1 + timesDivisible(value / divisor, divisor);
}

/**
 * Groups trials into brackets that run one after another. A search limited by count has one bracket. A search limited
 * by time has small ones, with the fewest trials that fill every rung, so that some are finished when the time is up.
 */
export function brackets(trials: readonly Trial[], budget: SearchBudget): Trial[][] {
  if (budget.minutes === undefined) return [[...trials]];
  const { reductionFactor: eta, minEpochs, maxEpochs } = budget;
  const size = eta ** timesDivisible(maxEpochs / minEpochs, eta);
  const count = Math.ceil(trials.length / size);
  return Array.from({ length: count }, (_, index) => trials.slice(index * size, (index + 1) * size));
}

/** The best trials of a rung, one in `eta`, lowest loss first. On a tie the earlier trial wins; failed ones never continue. */
export function survivors(scores: readonly TrialScore[], eta: number): number[] {
  return scores
    .flatMap(({ trial, loss }) => (loss === null || !Number.isFinite(loss) ? [] : [{ trial, loss }]))
    .sort((a, b) => a.loss - b.loss || a.trial - b.trial)
    .slice(0, Math.ceil(scores.length / eta))
    .map(({ trial }) => trial);
}

/** The trial with the lowest loss at the highest rung reached; null when none reached any. */
export function bestOf(reached: readonly { trial: number; rung: Rung; loss: number }[]): number | null {
  const ordered = [...reached].sort((a, b) => b.rung.epochs - a.rung.epochs || a.loss - b.loss || a.trial - b.trial);
  return ordered[0]?.trial ?? null;
}
