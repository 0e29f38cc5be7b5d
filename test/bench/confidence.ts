import type { Hyperparameters } from '../../contracts/training/training.js';
import { fitTemperature, meanLoss } from '../../model/evaluation/temperature.js';
import {
  learn,
  mean,
  pooledError,
  preparePictures,
  selectiveRisk,
  type Learnt,
  type Pictures,
} from '../support/confidence-fixture.js';
import { alterPhotographs, drawForeignPictures } from '../support/foreign-pictures.js';
import { listPhotographs, withFolder } from '../support/training-fixtures.js';
import { printTable, type Figure } from './table.js';

const splits = { default: 60, overtrained: 20, outOfDistribution: 30 };
const overtrained = { learningRate: 0.05, earlyStoppingPatience: 40, weightDecay: 0 };
const targetRisks = [0.01, 0.02, 0.03, 0.05, 1];

/** The tables of docs/confidence.md: calibration, abstention and out-of-distribution images over random splits. */
export function benchConfidence(): Promise<void> {
  return withFolder(async (folder) => {
    const photographs = await listPhotographs(150);
    const altered = await alterPhotographs(
      folder,
      photographs.map(({ image }) => image),
    );
    const others = new Map([...(await drawForeignPictures(folder)), ...altered]);
    const pictures = await preparePictures(folder, photographs, others);
    const trained = await learnSplits(pictures, splits.default, {});
    const foreign = trained.slice(0, splits.outOfDistribution);
    const rash = await learnSplits(pictures, splits.overtrained, overtrained);
    printTable(`Calibration, default training, ${trained.length} splits`, describeCalibration(trained));
    printTable(`Calibration, overtrained, ${rash.length} splits`, describeCalibration(rash));
    printTable(`Abstention, ${trained.length} splits`, describeAbstention(trained));
    printTable(`Out-of-distribution, ${foreign.length} splits`, describeOutOfDistribution(foreign, [...others.keys()]));
  });
}

async function learnSplits(pictures: Pictures, count: number, changed: Partial<Hyperparameters>): Promise<Learnt[]> {
  const learnt: Learnt[] = [];
  for (let seed = 0; seed < count; seed += 1) learnt.push(await learn(pictures, seed, changed));
  return learnt;
}

function describeCalibration(learnt: readonly Learnt[]): Figure[] {
  const temperatures: Record<string, (one: Learnt) => number> = {
    'no temperature': () => 1,
    'fitted on validation images': ({ validation }) => fitTemperature(validation.logits, validation.truths),
    'as built': ({ calibration }) => calibration.temperature,
  };
  return Object.entries(temperatures).map(([what, temperatureOf]) => {
    const loss = mean(learnt.map((one) => meanLoss(one.test.logits, one.test.truths, temperatureOf(one))));
    const error = pooledError(learnt, temperatureOf);
    return { what, value: `log loss ${loss.toFixed(3)}, calibration error ${error.toFixed(3)}` };
  });
}

function describeAbstention(learnt: readonly Learnt[]): Figure[] {
  return targetRisks.map((target) => {
    const { risk, coverage } = selectiveRisk(learnt, target);
    return { what: `target risk ${target}`, value: `wrong ${risk.toFixed(4)}, given ${coverage.toFixed(3)}` };
  });
}

function describeOutOfDistribution(learnt: readonly Learnt[], kinds: readonly string[]): Figure[] {
  const shares = learnt.map(({ outOfDistribution }) => outOfDistribution);
  return [
    { what: 'held-out photographs', value: percent(mean(shares.map(({ photographs }) => photographs))) },
    ...kinds.map((kind) => ({ what: kind, value: percent(mean(shares.map(({ others }) => others.get(kind) ?? 0))) })),
  ];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
