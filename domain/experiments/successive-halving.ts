import type { SearchBudget, SearchSpace, Trial } from '../../contracts/experiments/tuning.js';

/** A stage of a search: so many trials are trained to so many epochs, and compared. Numbers begin with 1. */
export interface Rung {
  number: number;
  epochs: number;
  trials: number;
}

/** How a trial stands at a rung; the loss is null when it failed. */
export interface TrialScore {
  trial: number;
  loss: number | null;
}

/** Draws in vain after which a space counts as exhausted. */
const fruitlessDraws = 200;

/**
 * At most `count` different choices of hyper-parameters out of the space; fewer when it holds no more. Each is a
 * function of the seed and its place in the order alone: a longer search begins with the trials of a shorter one.
 */
export function sampleTrials(
  space: SearchSpace,
  count: number,
  { seed, maxEpochs }: Pick<SearchBudget, 'seed' | 'maxEpochs'>,
): Trial[] {
  const trials: Trial[] = [];
  const known = new Set<string>();
  let fruitless = 0;
  for (let draw = 0; trials.length < count && fruitless < fruitlessDraws; draw += 1) {
    const hyperparameters = { ...choose(space, (dimension) => unitOf(seed, draw, dimension)), epochs: maxEpochs };
    const key = JSON.stringify(hyperparameters);
    fruitless = known.has(key) ? fruitless + 1 : 0;
    if (fruitless === 0) trials.push({ number: trials.length + 1, hyperparameters });
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
    // What an architecture has no use for must not make two trials of one.
    fineTuneBlocks: isCnn ? 0 : pick(space.fineTuneBlocks, unit(7)),
    filters: isCnn ? pick(space.filters, unit(8)) : [16, 32, 64],
  };
}

function pick<T>(values: readonly T[], unit: number): T {
  const value = values[Math.floor(unit * values.length)];
  if (value === undefined) throw new Error('A search needs at least one value to choose from.');
  return value;
}

/** A value of four digits between the bounds, evenly by logarithm. */
function between({ min, max }: { min: number; max: number }, unit: number): number {
  const value = Math.exp(Math.log(min) + unit * Math.log(max / min));
  return Math.min(max, Math.max(min, Number(value.toPrecision(4))));
}

/** A number in [0, 1) made of three others, by the finaliser of MurmurHash3 after each. */
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
 * The rungs of a race of `trials`: one of `eta` goes on at each, with `eta` times the epochs, the last rung having
 * `maxEpochs`. There are as many as fit above `minEpochs`, and no more than it takes to be left with one trial.
 */
export function rungs(trials: number, eta: number, minEpochs: number, maxEpochs: number): Rung[] {
  const found: Rung[] = [];
  const cuts = Math.min(timesDivisible(maxEpochs / minEpochs, eta), timesDivisible(trials, eta));
  for (let number = 1, left = trials; number <= cuts + 1; number += 1, left = Math.ceil(left / eta)) {
    found.push({ number, epochs: Math.round(maxEpochs / eta ** (cuts + 1 - number)), trials: left });
  }
  return found;
}

/** How often a number can be divided before it is below 1. */
function timesDivisible(value: number, divisor: number): number {
  return value < divisor ? 0 : 1 + timesDivisible(value / divisor, divisor);
}

/**
 * Trials in races that are run one after another. By count they all meet in one; a search by time has small races, the
 * fewest trials that fill every rung, so that some have come through whenever time is up.
 */
export function races(trials: readonly Trial[], budget: SearchBudget): Trial[][] {
  if (budget.minutes === undefined) return [[...trials]];
  const { reductionFactor: eta, minEpochs, maxEpochs } = budget;
  const size = eta ** timesDivisible(maxEpochs / minEpochs, eta);
  const count = Math.ceil(trials.length / size);
  return Array.from({ length: count }, (_, index) => trials.slice(index * size, (index + 1) * size));
}

/** The numbers of the one in `eta` with the lowest loss, best first; of equal ones the earlier goes on, and never one that failed. */
export function survivors(standings: readonly TrialScore[], eta: number): number[] {
  return standings
    .flatMap(({ trial, loss }) => (loss === null || !Number.isFinite(loss) ? [] : [{ trial, loss }]))
    .sort((a, b) => a.loss - b.loss || a.trial - b.trial)
    .slice(0, Math.ceil(standings.length / eta))
    .map(({ trial }) => trial);
}

/** The trial with the lowest loss of those that got furthest; null when none got anywhere. */
export function bestOf(reached: readonly { trial: number; rung: Rung; loss: number }[]): number | null {
  const ordered = [...reached].sort((a, b) => b.rung.epochs - a.rung.epochs || a.loss - b.loss || a.trial - b.trial);
  return ordered[0]?.trial ?? null;
}
