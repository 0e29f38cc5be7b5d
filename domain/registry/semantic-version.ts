import type { Lineage } from '../../contracts/registry/registry.js';

/** The versions of a model before the next one. */
export interface EarlierVersions {
  /** The newest with a file; null if none has one. */
  latest: Lineage | null;
  /** Network of the newest version that was trained here; null if none was. */
  network: Lineage['architecture'] | null;
  /** Greatest semantic version. */
  greatest: string;
}

/**
 * The semantic version of a new model version: major for another network or other classes, because clients cannot read
 * its answers like the previous ones; minor for other data; patch for the same data. Network and data of an imported graph
 * are unknown: it counts as other data, as does what follows it, and the network is compared with that of the training
 * before. So does a version without a file (`next` is null), with which nothing is compared. It is counted from the
 * greatest version of the model, so that it also exceeds one that was set manually.
 * `test/unit/domain/registry/semantic-version.test.ts` and `docs/registry.md` have the rule as a table.
 */
export function nextSemanticVersion(next: Lineage | null, before: EarlierVersions | null): string {
  if (before === null) return '1.0.0';
  const [major = 0, minor = 0, patch = 0] = before.greatest.split('.').map(Number);
  const { latest, network } = before;
  if (next === null || latest === null) return `${major}.${minor + 1}.0`;
  const isOtherNetwork = next.architecture !== 'external' && network !== null && next.architecture !== network;
  if (isOtherNetwork || !sameLabels(next.labels, latest.labels)) return `${major + 1}.0.0`;
  const isOtherData = next.dataset !== latest.dataset || next.datasetDigest !== latest.datasetDigest;
  const isImport = next.architecture === 'external' || latest.architecture === 'external';
  if (isOtherData || isImport) return `${major}.${minor + 1}.0`;
  return `${major}.${minor}.${patch + 1}`;
}

/** The order counts: it is the order of the probabilities. */
export function sameLabels(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((label, index) => label === b[index]);
}
