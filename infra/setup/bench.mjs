import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildFolder, packageRoot } from './paths.mjs';
import { runSetup } from './run-setup.mjs';
import { createProgress } from './progress.mjs';

/** `npm run bench [-- arguments]`: set-up, build, and the measurements. */
await runSetup({ progress: createProgress(), purpose: 'test' });
const program = join(buildFolder, 'test', 'bench', 'run.js');
const { status } = spawnSync(process.execPath, [program, ...process.argv.slice(2)], {
  cwd: packageRoot,
  stdio: 'inherit',
});
process.exit(status ?? 1);
