import type { Lineage } from '../../contracts/registry/registry.js';

/**
 * The semantic version of a new model version: major for another network or other classes, because clients cannot read
 * its answers like the previous ones; minor for other data; patch for the same data. It is counted from the greatest
 * version of the model, so that it also exceeds one that was set manually.
 */
export function nextSemanticVersion(next: Lineage, before: { latest: Lineage; greatest: string } | null): string {
  if (before === null) return '1.0.0';
  const [major = 0, minor = 0, patch = 0] = before.greatest.split('.').map(Number);
  const { latest } = before;
  if (next.architecture !== latest.architecture || !sameLabels(next.labels, latest.labels)) return `${major + 1}.0.0`;
  if (next.dataset !== latest.dataset || next.datasetDigest !== latest.datasetDigest) return `${major}.${minor + 1}.0`;
  return `${major}.${minor}.${patch + 1}`;
}

/** The order counts: it is the order of the probabilities. */
export function sameLabels(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((label, index) => label === b[index]);
}
