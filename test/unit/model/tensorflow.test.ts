import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { restoreNodeUtil } from '../../../model/restore-node-util.js';

const run = promisify(execFile);
const door = new URL('../../../model/tensorflow.js', import.meta.url).href;

// What Node 23 removed is removed here as well, so that this fails on Node 20 just the same.
const computeWithoutNodeUtil = `
  import util from 'node:util';
  delete util.isNullOrUndefined;
  delete util.isArray;
  const { tf } = await import(${JSON.stringify(door)});
  const values = tf.tensor([1, 2, 3]).concat(tf.tensor([4])).square().sum().dataSync();
  process.stdout.write(String(values[0]));
`;

describe('TensorFlow', () => {
  it('computes on a Node that has lost util.isNullOrUndefined and util.isArray', async () => {
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', computeWithoutNodeUtil]);
    expect(stdout).toBe('30');
  });

  it('gets the lost functions back with their old meaning', () => {
    const target: Record<string, (value: unknown) => boolean> = {};
    restoreNodeUtil(target);
    expect([null, undefined, 0, ''].map((value) => target['isNullOrUndefined']?.(value))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect([[], {}].map((value) => target['isArray']?.(value))).toEqual([true, false]);
  });

  it('leaves functions alone that are still there', () => {
    const isArray = (): boolean => false;
    const target = { isArray };
    restoreNodeUtil(target);
    expect(target.isArray).toBe(isArray);
  });
});
