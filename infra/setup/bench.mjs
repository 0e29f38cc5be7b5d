import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildFolder, packageRoot } from './places.mjs';
import { runSetup } from './run-setup.mjs';
import { createStory } from './story.mjs';

/** `npm run bench [-- arguments]`: set-up, build, and the measurements. */
await runSetup({ story: createStory(), purpose: 'test' });
const program = join(buildFolder, 'test', 'bench', 'run.js');
const { status } = spawnSync(process.execPath, [program, ...process.argv.slice(2)], {
  cwd: packageRoot,
  stdio: 'inherit',
});
process.exit(status ?? 1);
