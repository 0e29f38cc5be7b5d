import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { readHolder } from './lock.mjs';
import { dataFolder, dataFolderEntries } from './paths.mjs';
import { isRunning } from './process-identity.mjs';

/** `npm run reset [-- --yes]`: empties the data folder after a confirmation. Downloads and the build stay. */

const home = dataFolder();
if (!existsSync(home)) end(`${home} does not exist: there is nothing to empty.`, 0);
if (!existsSync(join(home, 'layout.json'))) {
  end(`${home} has no layout.json, so it is not a data folder of Perennial. Nothing was removed.`, 1);
}
const busy = runningProcesses();
if (busy.length > 0) {
  end(
    `Perennial is still running on ${home} (${busy.join(', ')}). Stop it with Ctrl-C, then reset again. ` +
      'If it was killed, run npm start and stop it with Ctrl-C: that ends the processes it left.',
    1,
  );
}
if (!process.argv.includes('--yes')) await confirm();
for (const name of dataFolderEntries) rmSync(join(home, name), { recursive: true, force: true });
if (readdirSync(home).length === 0) rmdirSync(home);
end(`${home} was emptied. The next npm start begins from scratch.`, 0);

async function confirm() {
  if (!process.stdin.isTTY) {
    end('There is no terminal for the confirmation. npm run reset -- --yes empties the data folder without it.', 1);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`Remove all images, models and history in ${home}? Type yes: `);
  terminal.close();
  if (answer.trim().toLowerCase() !== 'yes') end('Nothing was removed.', 1);
}

/** @returns {string[]} */
function runningProcesses() {
  const holder = readHolder(join(home, 'run', 'supervisor.lock'));
  if (holder !== null && isRunning(holder)) return [`process ${String(holder.pid)}`];
  try {
    const records = /** @type {{ name: string, pid: number, startedAt: string }[]} */ (
      JSON.parse(readFileSync(join(home, 'run', 'processes.json'), 'utf8'))
    );
    return records.filter(isRunning).map(({ name, pid }) => `${name}, process ${String(pid)}`);
  } catch {
    return [];
  }
}

/**
 * @param {string} message
 * @param {number} code
 * @returns {never}
 */
function end(message, code) {
  console.log(message);
  process.exit(code);
}
