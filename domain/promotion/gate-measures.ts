import type { GatePolicy } from '../../contracts/promotion/policy.js';
import type { Decision } from '../../contracts/registry/registry.js';
import type { CrossValidation, Evaluation } from '../../contracts/training/training.js';
import { percent } from '../percent.js';
import { wilsonInterval } from '../wilson-interval.js';

type Reason = Decision['reasons'][number];

/** Answer time of the serving engine, one image after another. */
export interface AnswerTime {
  images: number;
  p95Ms: number;
}

/** What was measured of a candidate; null where there is no record. */
export interface GateMeasures {
  candidate: Evaluation;
  crossValidation: CrossValidation | null;
  answerTime: AnswerTime | null;
}

/** The policy of a model with the configuration in the place of null. */
export type GateRules = { [Rule in keyof GatePolicy]: NonNullable<GatePolicy[Rule]> };

/** The rules of the configuration, for models whose policy has none of their own. */
export type GateDefaults = Omit<GateRules, 'aboveMajority'>;

export function gateRulesOf(policy: GatePolicy, defaults: GateDefaults): GateRules {
  return {
    minAccuracy: policy.minAccuracy ?? defaults.minAccuracy,
    minRecall: policy.minRecall ?? defaults.minRecall,
    aboveMajority: policy.aboveMajority,
    minCrossValidatedAccuracy: policy.minCrossValidatedAccuracy ?? defaults.minCrossValidatedAccuracy,
    maxP95Ms: policy.maxP95Ms ?? defaults.maxP95Ms,
  };
}

/** Judges what was measured of the candidate alone, with a reason for each rule. */
export function judgeMeasures(measures: GateMeasures, rules: GateRules): Reason[] {
  const { candidate, crossValidation, answerTime } = measures;
  return [
    judgeAccuracy(candidate, rules),
    judgeRecall(candidate, rules),
    judgeMajority(candidate, rules),
    judgeCrossValidation(crossValidation, rules),
    judgeAnswerTime(answerTime, rules),
  ];
}

function judgeAccuracy({ accuracy }: Evaluation, { minAccuracy }: GateRules): Reason {
  const passed = accuracy >= minAccuracy;
  const relation = passed ? 'reaches' : 'is below';
  const detail = `Test accuracy ${percent(accuracy)} ${relation} the minimum of ${percent(minAccuracy)}.`;
  return { check: 'minimum_accuracy', passed, detail };
}

interface ClassRecall {
  words: string;
  recall: number;
  high: number;
}

/** Few test images prove little: a class fails only if its whole interval is below the minimum. */
function judgeRecall({ perClass }: Evaluation, { minRecall }: GateRules): Reason {
  const recalls = perClass.flatMap(recallOf).sort((a, b) => a.recall - b.recall);
  const low = recalls.filter(({ high }) => high < minRecall);
  const [lowest] = recalls;
  const minimum = percent(minRecall);
  const detail = lowest
    ? low.length > 0
      ? `Recall is below the minimum of ${minimum} for ${low.map(({ words }) => words).join('; ')}.`
      : `Recall of no class is significantly below the minimum of ${minimum}; the lowest is that of ${lowest.words}.`
    : 'Recall was not measured: there are no test images.';
  return { check: 'class_recall', passed: low.length === 0, detail: detail + unmeasured(perClass) };
}

/** Names the classes that pass only because nothing is known of them. */
function unmeasured(perClass: Evaluation['perClass']): string {
  const unseen = perClass.filter(({ support }) => support === 0).map(({ label }) => `“${label}”`);
  if (unseen.length === 0 || unseen.length === perClass.length) return '';
  return ` Not measured, for lack of test images: ${unseen.join(', ')}.`;
}

function recallOf({ label, recall, support }: Evaluation['perClass'][number]): ClassRecall[] {
  const found = Math.round(recall * support);
  const interval = wilsonInterval(found, support);
  if (interval === null) return [];
  const words = `“${label}”: ${percent(recall)} (${found} of ${support} test images, ${intervalText(interval)})`;
  return [{ words, recall, high: interval[1] }];
}

/** A model that always answers the most frequent class is right for that share of the images, and useless. */
function judgeMajority({ accuracy, perClass }: Evaluation, { aboveMajority }: GateRules): Reason {
  const check = 'above_majority';
  const known = perClass.filter(({ support }) => support > 0).sort((a, b) => b.support - a.support);
  const [majority] = known;
  if (!aboveMajority) return { check, passed: true, detail: 'Not required by the policy of the model.' };
  if (!majority || known.length === 1) {
    return { check, passed: true, detail: 'Not measured: the test images show fewer than two classes.' };
  }
  const images = known.reduce((sum, { support }) => sum + support, 0);
  const constant = majority.support / images;
  const passed = accuracy > constant;
  const interval = wilsonInterval(Math.round(accuracy * images), images) ?? [0, 1];
  const detail =
    `Test accuracy ${percent(accuracy)} (${intervalText(interval)}) is ${passed ? '' : 'not '}above the ` +
    `${percent(constant)} of always answering “${majority.label}” (${majority.support} of ${images} test images).`;
  return { check, passed, detail };
}

/** 97.5 % quantile of Student's t distribution for five folds. */
const quantile = 2.776;

function judgeCrossValidation(
  measured: CrossValidation | null,
  { minCrossValidatedAccuracy: minimum }: GateRules,
): Reason {
  const check = 'cross_validation';
  if (!measured) return { check, passed: true, detail: 'Not measured: this version was not cross-validated.' };
  const { folds, meanAccuracy, standardDeviation } = measured;
  const reach = (quantile * standardDeviation) / Math.sqrt(folds);
  const interval: [number, number] = [Math.max(0, meanAccuracy - reach), Math.min(1, meanAccuracy + reach)];
  const passed = interval[1] >= minimum;
  const detail =
    `Mean accuracy over ${folds} folds ${percent(meanAccuracy)} (${intervalText(interval)}) is ` +
    `${passed ? 'not significantly ' : ''}below the minimum of ${percent(minimum)}.`;
  return { check, passed, detail };
}

function judgeAnswerTime(measured: AnswerTime | null, { maxP95Ms }: GateRules): Reason {
  const check = 'answer_time';
  if (!measured) return { check, passed: true, detail: 'Not measured: no test image was answered.' };
  const { p95Ms, images } = measured;
  const passed = p95Ms <= maxP95Ms;
  const detail =
    `The 95th percentile of the answer time is ${p95Ms.toFixed(1)} ms over ${images} test images one after another; ` +
    `at most ${maxP95Ms} ms are allowed.`;
  return { check, passed, detail };
}

function intervalText([low, high]: readonly [number, number]): string {
  return `95 % interval ${percent(low)} to ${percent(high)}`;
}
