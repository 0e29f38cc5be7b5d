import { bucketLocator, bucketOfLocator, ownFolders, sourceFolderOf } from '../../../platform/source-buckets.js';
import { objectRules } from '../../../stores/storage/object-kinds.js';

const settings = { S3_BUCKET: 'own', INGEST_S3_BUCKET: undefined };
const both = { ...settings, INGEST_S3_BUCKET: 'theirs' };

describe('sourceFolderOf', () => {
  it.each([
    [settings, { prefix: 'a/b' }, 'own', 'a/b/'],
    [settings, { prefix: '/a//' }, 'own', 'a/'],
    [both, { prefix: 'raw' }, 'theirs', 'raw/'],
    [both, { prefix: '/' }, 'theirs', ''],
    [both, { prefix: 'a', bucket: 'own' }, 'own', 'a/'],
  ])('%# names bucket and prefix', (names, source, bucket, prefix) => {
    const folder = sourceFolderOf(names, source);
    expect(folder).toEqual({ bucket, prefix });
    expect(bucketOfLocator(bucketLocator(folder))).toEqual(folder);
  });

  it('refuses every folder in which Perennial keeps objects', () => {
    const refusing = (prefix: string) => (): unknown => sourceFolderOf(settings, { prefix });
    for (const own of ownFolders) expect(refusing(`${own}/x`)).toThrow(/objects of Perennial/);
    const tops = Object.values(objectRules).flatMap(({ pattern }) => {
      const [, group, name] = /^\^(?:\(\?:([a-z|]+)\)|(?:\(\?<owner>)?([a-z]+))/.exec(pattern.source) ?? [];
      return (group ?? name ?? '?').split('|');
    });
    for (const top of tops) expect(ownFolders).toContain(top);
  });
});
