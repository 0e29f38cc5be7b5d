import { readFile } from 'node:fs/promises';
import type { Lineage } from '../../../../contracts/registry/registry.js';
import { nextSemanticVersion } from '../../../../domain/registry/semantic-version.js';

const trained: Lineage = { architecture: 'cnn', labels: ['a', 'b'], dataset: 'flowers', datasetDigest: 'one' };
const imported: Lineage = { ...trained, architecture: 'external' };
const before = { latest: trained, network: 'cnn', greatest: '1.4.2' } as const;
const afterImport = { ...before, latest: imported };

/** The table of docs/registry.md: its first column, and cases with the version that follows 1.4.2. */
const rule: [
  row: string,
  cases: [next: Partial<Lineage>, earlier: typeof before | typeof afterImport, is: string][],
][] = [
  [
    'has other classes: answers cannot be read as before',
    [
      [{ labels: ['a', 'b', 'c'], datasetDigest: 'two' }, before, '2.0.0'],
      [{ labels: ['b', 'a'] }, before, '2.0.0'],
      [{ labels: ['a', 'c'] }, afterImport, '2.0.0'],
      [{ ...imported, labels: ['a', 'c'] }, before, '2.0.0'],
    ],
  ],
  [
    'was trained with another network than the newest trained version',
    [
      [{ architecture: 'efficientnet-lite0' }, before, '2.0.0'],
      [{ architecture: 'efficientnet-lite0' }, afterImport, '2.0.0'],
    ],
  ],
  [
    'has other data (another dataset, or another digest of it)',
    [
      [{ datasetDigest: 'two' }, before, '1.5.0'],
      [{ dataset: 'trees' }, before, '1.5.0'],
    ],
  ],
  [
    'is imported, or follows an imported one, whose network and data are unknown',
    [
      [imported, before, '1.5.0'],
      [imported, afterImport, '1.5.0'],
      [trained, afterImport, '1.5.0'],
    ],
  ],
  ['was trained again on the same data', [[{}, before, '1.4.3']]],
];

describe('the next semantic version', () => {
  it('begins at 1.0.0', () => {
    expect(nextSemanticVersion(trained, null)).toBe('1.0.0');
    expect(nextSemanticVersion(imported, null)).toBe('1.0.0');
  });

  it.each(rule)('follows the documented rule: the new version %s', async (row, cases) => {
    const documented = (await readFile('docs/registry.md', 'utf8'))
      .split('\n')
      .find((line) => line.includes(`| ${row}`));
    for (const [next, earlier, is] of cases) {
      expect(nextSemanticVersion({ ...trained, ...next }, earlier)).toBe(is);
      expect(documented).toContain(`1.4.2 → ${is}`);
    }
  });

  it('of a training after imports alone is one of other data', () => {
    const imports = { latest: imported, network: null, greatest: '1.0.0' };
    expect(nextSemanticVersion(trained, imports)).toBe('1.1.0');
  });

  it('counts a version without a file as other data, and compares nothing with it', () => {
    expect(nextSemanticVersion(null, null)).toBe('1.0.0');
    expect(nextSemanticVersion(null, { latest: trained, network: 'cnn', greatest: '1.4.2' })).toBe('1.5.0');
    expect(nextSemanticVersion(trained, { latest: null, network: null, greatest: '1.4.2' })).toBe('1.5.0');
  });

  it('continues from one that was set manually, compared by number and not as text', () => {
    const greatest = { ...before, greatest: '10.0.9' };
    expect(nextSemanticVersion({ ...trained, datasetDigest: 'two' }, greatest)).toBe('10.1.0');
  });
});
