import { createUploadQuota, type UploadQuota } from '../../../../../api/http/body/upload-quota.js';
import type { PerennialError } from '../../../../../contracts/errors.js';
import { createStorageGuard, type StorageState } from '../../../../../platform/storage-guard.js';
import { poll } from '../../../../support/api-client.js';

const minFreeBytes = 100;

/** A quota on a disk whose free space the test sets. */
function quotaOn(disk: { freeBytes: number }, limits?: { atOnce: number; bytes: number }): UploadQuota {
  const { refusal } = createStorageGuard({ folders: [], minFreeBytes });
  const measure = (): Promise<StorageState> =>
    Promise.resolve({ freeBytes: disk.freeBytes, minFreeBytes, shortage: null });
  const storage = {
    measure,
    refusal,
    async require(use: 'upload' | 'run' | 'capture' | 'journal', bytes?: number) {
      const error = refusal(use, await measure(), bytes);
      if (error) throw error;
    },
  };
  return createUploadQuota({ storage, onShed: () => undefined, ...(limits && { limits }) });
}

describe('the quota of uploads', () => {
  it('refuses an upload whose declared length does not fit, before it is received', async () => {
    const quota = quotaOn({ freeBytes: 1_000 });
    await expect(quota.admit('one', 901)).rejects.toMatchObject({ code: 'insufficient_storage' });
    (await quota.admit('one', 900)).end();
  });

  it('refuses an upload of unknown length when it has taken what is free, before the disk shows it', async () => {
    const upload = await quotaOn({ freeBytes: 1_000 }).admit('one', null);
    const refusals: PerennialError[] = [];
    upload.onRefusal((error) => refusals.push(error));
    upload.add(900);
    expect(refusals).toEqual([]);
    upload.add(1);
    upload.add(1);
    expect(refusals).toMatchObject([{ code: 'insufficient_storage' }]);
    upload.end();
  });

  it('counts the bytes of all uploads together', async () => {
    const quota = quotaOn({ freeBytes: 1_000 });
    const [one, other] = [await quota.admit('one', null), await quota.admit('one', null)];
    one.add(900);
    const refused = new Promise<PerennialError>((resolve) => other.onRefusal(resolve));
    other.add(1);
    expect(await refused).toMatchObject({ code: 'insufficient_storage' });
    one.end();
    other.end();
  });

  it('ends an upload that sends nothing when the disk runs short', async () => {
    const disk = { freeBytes: 1_000 };
    const upload = await quotaOn(disk).admit('one', null);
    const refused = new Promise<PerennialError>((resolve) => upload.onRefusal(resolve));
    disk.freeBytes = 99;
    expect(await refused).toMatchObject({ code: 'insufficient_storage' });
    upload.end();
  });

  it('admits uploads again when there is space', async () => {
    const disk = { freeBytes: 0 };
    const quota = quotaOn(disk);
    await expect(quota.admit('one', null)).rejects.toMatchObject({ code: 'insufficient_storage' });
    disk.freeBytes = 1_000;
    (await quota.admit('one', null)).end();
  });

  it('answers overloaded for more uploads at once, and for more bytes together, than its limits', async () => {
    const quota = quotaOn({ freeBytes: 1e12 }, { atOnce: 1, bytes: 50 });
    const upload = await quota.admit('one', null);
    await expect(quota.admit('one', null)).rejects.toMatchObject({ code: 'overloaded' });
    const refused = new Promise<PerennialError>((resolve) => upload.onRefusal(resolve));
    upload.add(51);
    expect(await refused).toMatchObject({ code: 'overloaded' });
    upload.end();
    await poll(
      () => quota.admit('one', null).then((next) => next.end()),
      () => true,
    );
  });

  it('gives a client a slot of the one that holds most, and that one no more', async () => {
    const quota = quotaOn({ freeBytes: 1e12 }, { atOnce: 3, bytes: 50 });
    const refused: number[] = [];
    for (const number of [1, 2, 3]) (await quota.admit('many', null)).onRefusal(() => refused.push(number));
    await expect(quota.admit('many', null)).rejects.toMatchObject({ code: 'overloaded' });
    await quota.admit('one', null);
    expect(refused).toEqual([3]);
    await expect(quota.admit('one', null)).rejects.toMatchObject({ code: 'overloaded' });
  });
});
