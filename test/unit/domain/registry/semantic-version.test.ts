import { nextSemanticVersion } from '../../../../domain/registry/semantic-version.js';
import type { Lineage } from '../../../../contracts/registry/registry.js';

const lineage: Lineage = { architecture: 'cnn', labels: ['a', 'b'], dataset: 'flowers', datasetDigest: 'one' };
const after = (greatest: string, next: Partial<Lineage>): string =>
  nextSemanticVersion({ ...lineage, ...next }, { latest: lineage, network: 'cnn', greatest });

describe('the next semantic version', () => {
  it('begins at 1.0.0', () => {
    expect(nextSemanticVersion(lineage, null)).toBe('1.0.0');
  });

  it('grows in the last place for the same data trained again', () => {
    expect(after('1.4.2', {})).toBe('1.4.3');
  });

  it('grows in the middle for other data, whatever dataset it is', () => {
    expect(after('1.4.2', { datasetDigest: 'two' })).toBe('1.5.0');
    expect(after('1.4.2', { dataset: 'trees' })).toBe('1.5.0');
  });

  it('grows in the first place for another network or other classes, also in another order', () => {
    expect(after('1.4.2', { architecture: 'efficientnet-lite0' })).toBe('2.0.0');
    expect(after('1.4.2', { labels: ['a', 'b', 'c'], datasetDigest: 'two' })).toBe('2.0.0');
    expect(after('1.4.2', { labels: ['b', 'a'] })).toBe('2.0.0');
  });

  it('counts an imported graph as other data, and compares a training after it with the training before it', () => {
    expect(after('1.0.0', { architecture: 'external' })).toBe('1.1.0');
    const latest: Lineage = { ...lineage, architecture: 'external' };
    expect(nextSemanticVersion(lineage, { latest, network: 'cnn', greatest: '1.1.0' })).toBe('1.2.0');
    expect(nextSemanticVersion(latest, { latest, network: 'cnn', greatest: '1.1.0' })).toBe('1.1.1');
    const other: Lineage = { ...lineage, architecture: 'efficientnet-lite0' };
    expect(nextSemanticVersion(other, { latest, network: 'cnn', greatest: '1.1.0' })).toBe('2.0.0');
  });

  it('counts a version without a file as other data, and compares nothing with it', () => {
    expect(nextSemanticVersion(null, null)).toBe('1.0.0');
    expect(nextSemanticVersion(null, { latest: lineage, network: 'cnn', greatest: '1.4.2' })).toBe('1.5.0');
    expect(nextSemanticVersion(lineage, { latest: null, network: null, greatest: '1.4.2' })).toBe('1.5.0');
  });

  it('continues from one that was set manually, compared by number and not as text', () => {
    expect(after('10.0.9', { datasetDigest: 'two' })).toBe('10.1.0');
  });
});
