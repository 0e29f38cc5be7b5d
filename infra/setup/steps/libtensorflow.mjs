import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { obtain, unpackRelease } from '../components.mjs';
import { cacheFolder, platformKey } from '../paths.mjs';
import { libtensorflow } from '../versions.mjs';
import { unpackWheel } from '../registries.mjs';

/** @typedef {import('../run-setup.mjs').SetupStep} SetupStep */

/** @type {SetupStep} */
export const libtensorflowStep = {
  name: 'libtensorflow',
  isDone: (state) => {
    const named = process.env['LIBTENSORFLOW_DIR'];
    const remembered = state['libtensorflow'];
    return remembered !== undefined && isLibtensorflow(remembered) && (!named || named === remembered);
  },
  run: async (step) => {
    const named = process.env['LIBTENSORFLOW_DIR'];
    if (named) {
      if (!isLibtensorflow(named)) {
        throw new Error(
          `LIBTENSORFLOW_DIR is ${named}, which lacks include/tensorflow/c/c_api.h or lib/libtensorflow*`,
        );
      }
      return { summary: `${named} (LIBTENSORFLOW_DIR)`, state: { libtensorflow: named } };
    }
    const folder = join(cacheFolder(), 'libtensorflow', platformKey());
    const from = await obtain(folder, sources(step), step);
    return { summary: from, state: { libtensorflow: folder } };
  },
  advice:
    'Install python3 with pip (Debian, Ubuntu: apt-get install python3-pip; macOS: brew install python), or unpack libtensorflow ' +
    'yourself and name its folder (with include/ and lib/) in LIBTENSORFLOW_DIR.',
};

/**
 * @param {string} folder
 * @returns {boolean} whether it has the headers and both libraries
 */
export function isLibtensorflow(folder) {
  return (
    existsSync(join(folder, 'include', 'tensorflow', 'c', 'c_api.h')) &&
    findLibrary(folder, 'libtensorflow') !== null &&
    findLibrary(folder, 'libtensorflow_framework') !== null
  );
}

/**
 * The library's file name in `<folder>/lib`, with any version: libtensorflow.so.2.9.1 in releases, libtensorflow_cc.so.2
 * in wheels.
 * @param {string} folder
 * @param {'libtensorflow' | 'libtensorflow_framework'} library
 * @returns {string | null}
 */
export function findLibrary(folder, library) {
  const stem = library === 'libtensorflow' ? 'libtensorflow(_cc)?' : 'libtensorflow_framework';
  const pattern = new RegExp(`^${stem}(\\.\\d+)*\\.(so|dylib)(\\.\\d+)*$`);
  try {
    const names = readdirSync(join(folder, 'lib')).filter((name) => pattern.test(name));
    return names.sort((a, b) => b.length - a.length)[0] ?? null;
  } catch {
    return null;
  }
}

/**
 * @param {import('../progress.mjs').Step} step
 * @returns {import('../components.mjs').Source[]}
 */
function sources(step) {
  const release = libtensorflow.releases[platformKey()];
  const wheel = libtensorflow.wheels[platformKey()];
  return [
    {
      name: `official download (${libtensorflow.releaseVersion})`,
      fetch: async (draft) => {
        if (release === undefined) throw new Error('there is no release for this platform');
        await unpackRelease(release, null, draft, step);
        requireWhole(draft);
      },
    },
    {
      name: `PyPI (${libtensorflow.wheelVersion})`,
      fetch: async (draft) => {
        if (wheel === undefined) throw new Error('there is no wheel for this platform');
        await unpackWheel(wheel, ['tensorflow/libtensorflow_', 'tensorflow/include/'], draft, step);
        arrangeWheel(draft);
        requireWhole(draft);
      },
    },
  ];
}

/**
 * Rearranges the content of a wheel to the layout of a release.
 * @param {string} draft
 */
function arrangeWheel(draft) {
  const unpacked = join(draft, 'tensorflow');
  renameSync(join(unpacked, 'include'), join(draft, 'include'));
  mkdirSync(join(draft, 'lib'));
  for (const name of readdirSync(unpacked)) {
    if (name.startsWith('libtensorflow_')) renameSync(join(unpacked, name), join(draft, 'lib', name));
  }
  rmSync(unpacked, { recursive: true });
}

/** @param {string} draft */
function requireWhole(draft) {
  if (!isLibtensorflow(draft)) throw new Error('the download lacks the C headers or the libraries');
}
