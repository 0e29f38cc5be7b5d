import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock, withLock } from '../../../infra/setup/lock.mjs';
import { identifyProcess, isRunning } from '../../../infra/setup/process-identity.mjs';
import { temporaryFolder } from '../../support/temporary-folder.js';

const folder = temporaryFolder();
const deadPid = spawnSync(process.execPath, ['-e', '']).pid;

describe('the identity of a process', () => {
  it('is the same at every call', () => {
    const mine = identifyProcess(process.pid);
    expect(mine).toEqual(identifyProcess(process.pid));
    expect(mine !== null && isRunning(mine)).toBe(true);
  });

  it('is null for a process that is gone', () => {
    expect(identifyProcess(deadPid)).toBeNull();
  });

  it('differs for another process with the same process id', () => {
    expect(isRunning({ pid: process.pid, startedAt: 'another time' })).toBe(false);
  });
});

describe('a lock', () => {
  it('has one holder, whose process id others get', () => {
    const file = join(folder, 'held.lock');
    const first = tryLock(file);
    expect(first.taken).toBe(true);
    expect(tryLock(file)).toMatchObject({ taken: false, holder: { pid: process.pid } });
    if (first.taken) first.release();
    expect(existsSync(file)).toBe(false);
    const again = tryLock(file);
    expect(again.taken).toBe(true);
  });

  it.each([
    ['of a process that is gone', JSON.stringify({ pid: deadPid, startedAt: 'some time' })],
    ['with a process id that was reused', JSON.stringify({ pid: process.pid, startedAt: 'another time' })],
    ['that is damaged', '{"pid":'],
  ])('%s is taken over', (name, content) => {
    const file = join(folder, `${name}.lock`);
    writeFileSync(file, content);
    expect(tryLock(file).taken).toBe(true);
  });

  it('leaves no other file in the folder', () => {
    const own = join(folder, 'own');
    tryLock(join(own, 'a.lock'));
    tryLock(join(own, 'a.lock'));
    expect(readdirSync(own)).toEqual(['a.lock']);
  });

  it('makes the second holder wait until the first is done, and reports that once', async () => {
    const file = join(folder, 'two.lock');
    const events: string[] = [];
    const work = (name: string) => async (): Promise<void> => {
      events.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, 30));
      events.push(`${name} ends`);
    };
    const wait = (): void => void events.push('second waits');
    await Promise.all([withLock(file, wait, work('first')), withLock(file, wait, work('second'))]);
    expect(events).toEqual(['first begins', 'second waits', 'first ends', 'second begins', 'second ends']);
  });

  it('is released when the work fails', async () => {
    const file = join(folder, 'fails.lock');
    await expect(
      withLock(
        file,
        () => undefined,
        () => Promise.reject(new Error('broken')),
      ),
    ).rejects.toThrow('broken');
    expect(existsSync(file)).toBe(false);
  });
});
