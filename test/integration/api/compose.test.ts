import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { composeApi } from '../../../api/compose.js';
import { loadConfig } from '../../../platform/config.js';
import { createLogger } from '../../../platform/logging.js';

describe('composeApi', () => {
  it('removes temporary uploads of a killed API, and none of a running one', async () => {
    const home = await mkdtemp(join(tmpdir(), 'perennial-compose-'));
    const uploads = join(home, 'scratch', 'uploads');
    const ended = String(spawnSync(process.execPath, ['--version']).pid);
    const running = String(process.ppid);
    for (const pid of [ended, running]) {
      await mkdir(join(uploads, pid, 'an-upload'), { recursive: true });
      await writeFile(join(uploads, pid, 'an-upload', 'image'), 'bytes');
    }
    // Nothing listens on port 9, and nothing is connected here.
    const config = loadConfig({
      PERENNIAL_HOME: home,
      DATABASE_URL: 'postgres://127.0.0.1:9/none',
      S3_ENDPOINT: 'http://127.0.0.1:9',
      TEMPORAL_ADDRESS: '127.0.0.1:9',
    });
    const api = await composeApi(config, createLogger('api', 'silent'));
    try {
      expect((await readdir(uploads)).sort()).toEqual([running, String(process.pid)].sort());
      expect(await readdir(join(uploads, running))).toEqual(['an-upload']);
    } finally {
      await api.temporal.close();
      api.objects.close();
      await api.database.close();
      await rm(home, { recursive: true });
    }
  });
});
