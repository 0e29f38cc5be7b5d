import { snakeCase } from '../../contracts/http/spelling.js';
import type { Hyperparameters } from '../../contracts/training/training.js';
import type { TrialScore, TrialStatus } from '../../contracts/experiments/tuning.js';

/** A search for display: its trials with their scores, rung by rung. */
export interface ShownSearch {
  modelName: string;
  dataset: string;
  datasetVersion: number;
  bestTrial: number | null;
  trials: readonly ShownTrial[];
}

export interface ShownTrial {
  number: number;
  status: TrialStatus;
  hyperparameters: Hyperparameters;
  rungs: readonly TrialScore[];
  error: { message: string } | null;
}

const statusWords: Record<TrialStatus, string> = {
  running: 'running',
  stopped: 'stopped early',
  failed: 'failed',
  finished: 'finished',
};

/** All trials of a search in Markdown, the best first, with the hyperparameters in which they differ. */
export function writeSearchTable(search: ShownSearch): string {
  const ranked = [...search.trials].sort(compareTrials);
  const varied = variedNames(search.trials);
  const head = ['trial', 'outcome', 'epochs', 'validation loss', 'validation accuracy', ...varied.map(snakeCase)];
  return [
    `# Search for ${search.modelName}`,
    '',
    `Dataset \`${search.dataset}\`, version ${search.datasetVersion}. ${describeSearch(search)}.`,
    '',
    `| ${head.join(' | ')} |`,
    `|${' --- |'.repeat(head.length)}`,
    ...ranked.map((trial) => rowOf(trial, trial.number === search.bestTrial, varied)),
    '',
  ].join('\n');
}

/** Summary of a search, without a full stop. */
export function describeSearch({ trials, bestTrial }: ShownSearch): string {
  const count = (status: TrialStatus): number => trials.filter((trial) => trial.status === status).length;
  const summary = [
    `${trials.length} trials`,
    ...(['running', 'finished', 'stopped', 'failed'] as const).flatMap((status) =>
      count(status) === 0 ? [] : [`${count(status)} ${statusWords[status]}`],
    ),
  ].join(', ');
  const best = trials.find(({ number }) => number === bestTrial);
  const score = best?.rungs.at(-1);
  if (!best || !score) return summary;
  return `${summary}; best trial ${best.number}: validation loss ${score.loss.toFixed(4)}, accuracy ${percent(score.accuracy)}`;
}

/** Finished trials first, then by rungs reached, then by loss. */
function compareTrials(a: ShownTrial, b: ShownTrial): number {
  const place = ({ status, rungs }: ShownTrial): number => (status === 'finished' ? Infinity : rungs.length);
  const [ofA, ofB] = [place(a), place(b)];
  if (ofA !== ofB) return ofB - ofA;
  return (a.rungs.at(-1)?.loss ?? 0) - (b.rungs.at(-1)?.loss ?? 0) || a.number - b.number;
}

function rowOf({ number, status, hyperparameters, rungs, error }: ShownTrial, isBest: boolean, varied: Name[]): string {
  const score = rungs.at(-1);
  const outcome = error ? `${statusWords[status]}: ${error.message.replaceAll('|', '/')}` : statusWords[status];
  return `| ${[
    isBest ? `**${number}**` : number,
    outcome,
    score?.epochs ?? '',
    score?.loss.toFixed(4) ?? '',
    score ? percent(score.accuracy) : '',
    ...varied.map((name) => String(hyperparameters[name])),
  ].join(' | ')} |`;
}

type Name = Exclude<keyof Hyperparameters, 'epochs'>;

/** Hyperparameters that are not the same in all trials. */
function variedNames(trials: readonly ShownTrial[]): Name[] {
  const names = [
    'architecture',
    'learningRate',
    'weightDecay',
    'batchSize',
    'classWeights',
    'earlyStoppingPatience',
    'seed',
    'fineTuneBlocks',
    'filters',
  ] as const;
  return names.filter((name) => new Set(trials.map((trial) => String(trial.hyperparameters[name]))).size > 1);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
