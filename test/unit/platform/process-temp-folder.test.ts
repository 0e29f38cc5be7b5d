import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createProcessTempFolder } from '../../../platform/process-temp-folder.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const parent = temporaryFolder();
/** Larger than any process id of Linux or macOS. */
const unusedPid = '99999999';

describe('ownScratchFolder', () => {
  it('removes the folders of dead processes and no others', async () => {
    const living = String(process.ppid);
    for (const name of [unusedPid, living, 'not-a-pid']) await mkdir(join(parent, name));
    const folder = await createProcessTempFolder(parent);
    expect(folder).toBe(join(parent, String(process.pid)));
    expect([unusedPid, living, 'not-a-pid'].map((name) => existsSync(join(parent, name)))).toEqual([
      false,
      true,
      false,
    ]);
    expect(await createProcessTempFolder(parent)).toBe(folder);
  });
});
