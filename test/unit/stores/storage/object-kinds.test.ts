import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { storageKinds } from '../../../../contracts/storage/storage.js';
import { refusalOfPrefix } from '../../../../domain/predictions/batch-prefix.js';
import { packageRoot } from '../../../../platform/paths.js';
import * as keys from '../../../../stores/objects/object-keys.js';
import { classifyKey, objectRules } from '../../../../stores/storage/object-kinds.js';

const md5 = 'ab'.repeat(16);
const sha256 = 'cd'.repeat(32);
const id = '0190d1f0-7c1e-7000-8000-0123456789ab';

/** A key of every function that makes keys; of a prefix or folder, a key below it. */
const samples: Record<keyof typeof keys, string[]> = {
  rawImageKey: [keys.rawImageKey(md5), keys.rawImageKey(`${md5}.dir`)],
  featureFileKey: [keys.featureFileKey(sha256, sha256)],
  checkpointPrefix: [`${keys.checkpointPrefix(id)}0001-1.ckpt`],
  checkpointKey: [keys.checkpointKey(id, 3, 2), keys.checkpointKey(id, 12_345, 10)],
  runArtifactKey: [keys.runArtifactKey(id, 'metrics.json'), keys.runArtifactKey(`upload-${md5}`, 'a/b.svg')],
  searchArtifactKey: [keys.searchArtifactKey(id, 'search.svg')],
  uploadKey: [keys.uploadKey(id, 0)],
  refusedEntryKey: [keys.refusedEntryKey(id, 'grass/0.jpg')],
  uploadPrefix: [`${keys.uploadPrefix(id)}7`],
  importOrderKey: [keys.importOrderKey(id)],
  checkedModelKey: [keys.checkedModelKey(id, 'model.onnx')],
  predictionInputKey: [keys.predictionInputKey('m', new Date(), id)],
  predictionInputPrefix: [`${keys.predictionInputPrefix('m')}2030-01-01/${id}`],
  bundleKeyOf: [`${keys.bundleKeyOf('m', sha256)}/manifest.json`, `${keys.bundleKeyOf('m', sha256)}/tfjs/model.json`],
  splitManifestKey: [keys.splitManifestKey('train', 'flowers', 12), keys.splitManifestKey('test', 'a-b_c', 1)],
  batchPrefix: [`${keys.batchPrefix(id)}results.csv`],
  batchListPrefix: [`${keys.batchListPrefix(id, '3')}000001.json`],
  batchListKey: [keys.batchListKey(keys.batchListPrefix(id, '3'), 1)],
  batchPartKey: [keys.batchPartKey(id, 1, '3')],
  batchWorkPrefix: [`${keys.batchWorkPrefix(id)}anything`],
  batchResultKey: [keys.batchResultKey(id, 'parquet')],
};
const all = Object.values(samples).flat();

/** The source files that upload objects. */
function writers(): { path: string; source: string }[] {
  return ['stores', 'activities', 'api', 'workers']
    .flatMap((layer) =>
      readdirSync(join(packageRoot, layer), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => join(layer, name)),
    )
    .map((path) => ({ path, source: readFileSync(join(packageRoot, path), 'utf8') }))
    .filter(({ source }) => /\bobjects\.put(?:File)?\(/.test(source));
}

describe('the kinds of objects', () => {
  it('cover every function that makes a key', () => {
    expect(Object.keys(samples).sort()).toEqual(Object.keys(keys).sort());
    expect(all.filter((key) => classifyKey(key) === null)).toEqual([]);
  });

  it('are each the kind of some key, and of the kinds in the bucket all but the others', () => {
    const used = new Set(all.map((key) => classifyKey(key)?.rule));
    expect(Object.entries(objectRules).filter(([, rule]) => !used.has(rule))).toEqual([]);
    const inBucket = storageKinds.slice(0, storageKinds.indexOf('other'));
    expect(new Set([...used].map((rule) => rule?.kind))).toEqual(new Set(inBucket));
  });

  it('match one rule a key', () => {
    const matches = all.map((key) => Object.values(objectRules).filter(({ pattern }) => pattern.test(key)).length);
    expect(new Set(matches)).toEqual(new Set([1]));
  });

  it('leave keys of other forms to their owners', () => {
    const foreign = [
      ...['incoming/a.png', 'a.png', 'backups/1.sql', 'processed/a.json', 'test/mine.png', 'train/cats/1.jpg'],
      ...[
        'raw/photo.jpg',
        `raw/files/md5/${md5}`,
        `raw/files/md5/ab/${md5}`,
        'features/notes.txt',
        'models/m/notes.txt',
      ],
      ...[
        `models/m/1/model.onnx`,
        'predictions/inputs/m/2030-01-01/x',
        'predictions/batch/x/results.csv',
        'uploads/x/0',
      ],
      ...['checkpoints/x/notes.txt', 'runs/', 'searches', `old/${keys.featureFileKey(sha256, sha256)}`],
    ];
    expect(foreign.filter((key) => classifyKey(key) !== null)).toEqual([]);
  });

  it('are in folders that batch predictions refuse to read', () => {
    expect(all.filter((key) => refusalOfPrefix(key) === null)).toEqual([]);
  });

  it('are complete: keys are made by these functions only', () => {
    const literal = /\bobjects\.put(?:File)?\(\s*[`'"](?!\$\{bundleKey\})/;
    expect(writers().filter(({ source }) => literal.test(source))).toEqual([]);
  });

  it('whose keys are derived from the content are claimed before the upload', () => {
    const ofContent = writers().filter(({ source }) => /\b(?:rawImageKey|featureFileKey)\(/.test(source));
    const paths = ofContent.map(({ path }) => path).sort();
    // It uploads a list of keys of images, under a key of its job.
    expect(paths.shift()).toBe('activities/batch-prediction/list-items.ts');
    expect(paths).toEqual([
      'activities/ingestion/ingest-files.ts',
      'activities/training/features.ts',
      'stores/datasets/publish-version.ts',
    ]);
    const one = /\.claim\((\w+)\);\n +await (?:deps\.)?objects\.put(?:File)?\(\1,/;
    const several =
      /\.claim\((\w+)\.map\(\(\{ image \}\) => (rawImageKey\(image\.md5\))\)\);\n +await concurrently\(\s+\1,[^;]*objects\.put\(\2,/;
    for (const { path, source } of ofContent.filter((writer) => paths.includes(writer.path))) {
      expect(source).toMatch(path.includes('ingest-files') ? several : one);
    }
  });
});
