import { spawnSync } from 'node:child_process';
import { existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../platform/paths.js';

const logging = join(packageRoot, 'dist', 'platform', 'logging.js');

(existsSync('/dev/full') ? describe : describe.skip)('a log whose output is a full disk', () => {
  it('loses lines and does not end the process', () => {
    const program = `
      const { createLogger } = await import(${JSON.stringify(logging)});
      const logger = createLogger('test');
      for (let line = 0; line < 5; line += 1) logger.info('x'.repeat(100_000));
      await new Promise((resolve) => setTimeout(resolve, 50));
      process.stderr.write('alive');`;
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: 'alive' });
  });
});
