import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { objectStoreKeys } from '../../../infra/local/object-store-keys.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const folder = temporaryFolder();

describe('the keys of the local S3 server', () => {
  it('are random in each data folder, and the same at each start', () => {
    const keys = objectStoreKeys(join(folder, 'one', 's3'));
    expect(keys.secretAccessKey).toMatch(/^[0-9a-f]{48}$/);
    expect(objectStoreKeys(join(folder, 'one', 's3'))).toEqual(keys);
    const other = objectStoreKeys(join(folder, 'other', 's3'));
    expect(other.accessKeyId).not.toBe(keys.accessKeyId);
    expect(other.secretAccessKey).not.toBe(keys.secretAccessKey);
  });

  it('can be read by this account only, also when the file was copied carelessly', () => {
    const s3 = join(folder, 'modes', 's3');
    objectStoreKeys(s3);
    const file = join(s3, 'keys.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    chmodSync(file, 0o644);
    objectStoreKeys(s3);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(s3).mode & 0o777).toBe(0o700);
  });

  it.each(['', '{}', '{"accessKeyId":"","secretAccessKey":""}'])(
    'in a damaged file (%s) are reported with a way out',
    (text) => {
      const s3 = join(folder, 'damaged');
      objectStoreKeys(s3);
      writeFileSync(join(s3, 'keys.json'), text);
      expect(() => objectStoreKeys(s3)).toThrow(/keys\.json is damaged\. Delete it/);
      expect(readFileSync(join(s3, 'keys.json'), 'utf8')).toBe(text);
      writeFileSync(join(s3, 'keys.json'), '{"accessKeyId":"abc","secretAccessKey":"12345678"}');
    },
  );
});
