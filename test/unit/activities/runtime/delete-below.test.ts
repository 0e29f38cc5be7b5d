import { setImmediate as turn } from 'node:timers/promises';
import { deleteBelow } from '../../../../activities/runtime/delete-below.js';
import type { ObjectStore } from '../../../../stores/objects/object-store.js';

type Bucket = Pick<ObjectStore, 'list' | 'delete'>;

describe('deleting what is below a prefix', () => {
  const bucketOf = (keys: Set<string>): { bucket: Bucket; mostAtOnce: () => number } => {
    let [running, most] = [0, 0];
    const bucket: Bucket = {
      async *list(prefix) {
        for (const key of [...keys]) {
          await turn();
          if (key.startsWith(prefix)) yield { key, sizeBytes: 1 };
        }
      },
      async delete(key) {
        running += 1;
        most = Math.max(most, running);
        await turn();
        running -= 1;
        keys.delete(key);
      },
    };
    return { bucket, mostAtOnce: () => most };
  };
  const numbered = (count: number): string[] => Array.from({ length: count }, (_, number) => `jobs/1/${number}`);

  it('leaves nothing of thousands, some gone at once, and all of the others', async () => {
    const keys = new Set([...numbered(2_300), 'jobs/10/results.csv']);
    const { bucket, mostAtOnce } = bucketOf(keys);
    await deleteBelow(bucket, 'jobs/1/');
    expect([...keys]).toEqual(['jobs/10/results.csv']);
    expect(mostAtOnce()).toBe(8);
  });

  it('stops where it is told to, and is done when nothing is there', async () => {
    const keys = new Set(numbered(20));
    const { bucket } = bucketOf(keys);
    await expect(deleteBelow(bucket, 'jobs/', AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    expect(keys.size).toBe(20);
    await deleteBelow(bucket, 'other/');
  });
});
