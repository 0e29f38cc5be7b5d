export interface ComparedRun {
  runId: string;
  parameters: Readonly<Record<string, unknown>>;
  metrics: Readonly<Record<string, number>>;
}

/** A parameter whose values differ between the runs, in the order of the runs; null where a run has none. */
export interface ParameterRow {
  name: string;
  values: unknown[];
}

/** A metric of several runs, in the order of the runs. */
export interface MetricRow {
  name: string;
  values: (number | null)[];
  better: 'higher' | 'lower' | null;
  /** Ids of the runs that have the best value; empty when the metric has no known direction. */
  best: string[];
}

const lowerIsBetter = /(?:^|_)(?:loss|error|ms|seconds|bytes)$/;
const higherIsBetter = /(?:^|_)(?:accuracy|precision|recall|f1|auc)$/;

/** Compares runs: the parameters in which they differ, and their metrics with the best values marked. */
export function compareRuns(runs: readonly ComparedRun[]): { parameters: ParameterRow[]; metrics: MetricRow[] } {
  const parameters = namesOf(runs.map((run) => run.parameters))
    .map((name) => ({ name, values: runs.map((run) => run.parameters[name] ?? null) }))
    .filter(({ values }) => new Set(values.map((value) => JSON.stringify(value))).size > 1);
  const metrics = namesOf(runs.map((run) => run.metrics)).map((name) => metricRow(name, runs));
  return { parameters, metrics };
}

function metricRow(name: string, runs: readonly ComparedRun[]): MetricRow {
  const values = runs.map((run) => run.metrics[name] ?? null);
  const better = betterOf(name);
  const known = values.filter((value) => value !== null);
  const best = better === 'higher' ? Math.max(...known) : Math.min(...known);
  return {
    name,
    values,
    better,
    best: better === null ? [] : runs.filter((_, index) => values[index] === best).map(({ runId }) => runId),
  };
}

function betterOf(name: string): MetricRow['better'] {
  if (lowerIsBetter.test(name)) return 'lower';
  return higherIsBetter.test(name) ? 'higher' : null;
}

function namesOf(records: readonly Readonly<Record<string, unknown>>[]): string[] {
  return [...new Set(records.flatMap((record) => Object.keys(record)))].sort();
}
