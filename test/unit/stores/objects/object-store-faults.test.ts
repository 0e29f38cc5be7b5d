import { toObjectStoreError } from '../../../../stores/objects/object-store-faults.js';

function s3Error(name: string, status: number, message = name): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status } });
}

describe('a full S3 server', () => {
  it.each([
    ['versitygw', s3Error('InsufficientStorage', 507, 'No space left on device.')],
    ['MinIO', s3Error('XMinioStorageFull', 507)],
    ['a quota', s3Error('QuotaExceeded', 403)],
    ['rclone', s3Error('InternalError', 500, 'write object: no space left on device')],
  ])('is insufficient_storage: %s', (_, error) => {
    expect(toObjectStoreError(error, 'raw/x')).toMatchObject({ code: 'insufficient_storage' });
  });

  it('is told apart from one that is unavailable and one that refuses access', () => {
    expect(toObjectStoreError(s3Error('InternalError', 500), 'raw/x')).toMatchObject({
      code: 'object_store_unavailable',
    });
    expect(toObjectStoreError(s3Error('AccessDenied', 403), 'raw/x')).toMatchObject({ code: 'object_store_refused' });
  });
});
