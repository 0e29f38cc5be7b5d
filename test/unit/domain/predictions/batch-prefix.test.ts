import { refusalOfPrefix } from '../../../../domain/predictions/batch-prefix.js';

describe('refusalOfPrefix', () => {
  it.each(['incoming/', 'incoming/2026-05/', 'i', 'models-of-cars/', 'a..b/', 'rawness/'])('takes %s', (prefix) => {
    expect(refusalOfPrefix(prefix)).toBeNull();
  });

  it.each(['', 'm', 'models/', 'models/a_model/', 'raw/files/md5/', 'uploads/x', 'predictions/batch/'])(
    'refuses what reaches into our own record: %s',
    (prefix) => expect(refusalOfPrefix(prefix)).toContain('is reserved for Perennial'),
  );

  it.each(['../models/', 'a/../../models/', 'a/./b', '/incoming/', 'a\\b'])('refuses %s', (prefix) => {
    expect(refusalOfPrefix(prefix)).not.toBeNull();
  });
});
