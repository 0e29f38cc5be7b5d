import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../commands.mjs';
import { buildFolder, packageRoot } from '../paths.mjs';

/** @typedef {import('../run-setup.mjs').SetupStep} SetupStep */

const rooms = [
  'contracts',
  'platform',
  'model',
  'domain',
  'stores',
  'activities',
  'workflows',
  'workers',
  'api',
  'infra',
  'test',
];
const bundleProgram = join(buildFolder, 'workflows', 'bundle', 'build.js');

/** @type {SetupStep} */
export const buildStep = {
  name: 'build',
  isDone: (state) => state['build'] === sourceDigest() && existsSync(join(buildFolder, 'infra', 'local')),
  run: async (step) => {
    const digest = sourceDigest();
    removeOrphans(join(buildFolder, 'test'), join(packageRoot, 'test'));
    step.progress('compiling');
    await run(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json'], {
      cwd: packageRoot,
    });
    if (existsSync(bundleProgram)) {
      step.progress('bundling workflows');
      await run(process.execPath, [bundleProgram], { cwd: packageRoot });
    }
    return { summary: 'TypeScript and workflow bundle', state: { build: digest } };
  },
  advice: 'Run `npm run types` to see only the errors.',
};

/** @returns {string} a digest of all inputs of the build */
function sourceDigest() {
  const hash = createHash('sha256');
  for (const file of ['package-lock.json', 'tsconfig.json']) hash.update(readFileSync(join(packageRoot, file)));
  for (const room of rooms) {
    const folder = join(packageRoot, room);
    if (!existsSync(folder)) continue;
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.(ts|mjs|js)$/.test(name),
    );
    for (const file of files.sort()) hash.update(`${room}/${file}\0`).update(readFileSync(join(folder, file)));
  }
  return hash.digest('hex');
}

/**
 * Removes compiled tests whose source is gone: Jest would still run them.
 * @param {string} built
 * @param {string} sources
 */
function removeOrphans(built, sources) {
  if (!existsSync(built)) return;
  for (const name of readdirSync(built, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.js') && !existsSync(join(sources, name.replace(/\.js$/, '.ts')))) rmSync(join(built, name));
  }
}
