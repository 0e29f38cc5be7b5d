import type { ModelVersion } from '../../contracts/registry/registry.js';
import type { Evaluation } from '../../contracts/training/training.js';

type Compared = Pick<ModelVersion, 'version' | 'dataset' | 'datasetVersion' | 'datasetDigest' | 'evaluation'>;
type ClassMetrics = Evaluation['perClass'][number];

/** A metric of several versions, in their order. */
export interface MeasureRow {
  name: (typeof measures)[number]['name'];
  values: number[];
  /** Difference of each value from the first version. */
  differences: number[];
  /** Versions with the best value; several on a tie. */
  best: number[];
}

export interface ClassRow {
  label: string;
  /** One for each version; null for a version without this class. */
  metrics: (ClassMetrics | null)[];
}

export interface VersionComparison {
  sameTestSet: boolean;
  note: string;
  measures: MeasureRow[];
  perClass: ClassRow[];
}

const measures = [
  { name: 'accuracy', better: 'more' },
  { name: 'precision', better: 'more' },
  { name: 'recall', better: 'more' },
  { name: 'f1', better: 'more' },
  { name: 'rocAuc', better: 'more' },
  { name: 'loss', better: 'less' },
  { name: 'calibrationError', better: 'less' },
] as const;

/** Compares the test metrics of versions, and says whether they were measured on the same images. */
export function compareVersions(versions: readonly Compared[]): VersionComparison {
  const sets = [...new Map(versions.map((version) => [version.datasetDigest, version])).values()];
  const sameTestSet = sets.length <= 1;
  return {
    sameTestSet,
    note: sameTestSet ? 'All were measured on the same test images.' : describeSets(sets),
    measures: measures.map(({ name, better }) => measureRow(versions, name, better)),
    perClass: classRows(versions),
  };
}

function describeSets(sets: readonly Compared[]): string {
  const names = sets.map(({ dataset, datasetVersion }) => `${dataset} version ${datasetVersion}`).join(', ');
  return `They were measured on different test images (${names}), so a difference may come from the data as well as from the model.`;
}

function measureRow(versions: readonly Compared[], name: MeasureRow['name'], better: 'more' | 'less'): MeasureRow {
  const values = versions.map(({ evaluation }) => evaluation[name]);
  const [reference = 0] = values;
  const bestValue = better === 'more' ? Math.max(...values) : Math.min(...values);
  return {
    name,
    values,
    differences: values.map((value) => value - reference),
    best: versions.flatMap(({ version, evaluation }) => (evaluation[name] === bestValue ? [version] : [])),
  };
}

function classRows(versions: readonly Compared[]): ClassRow[] {
  const labels = new Set(versions.flatMap(({ evaluation }) => evaluation.perClass.map(({ label }) => label)));
  return [...labels].map((label) => ({
    label,
    metrics: versions.map(({ evaluation }) => evaluation.perClass.find((each) => each.label === label) ?? null),
  }));
}
