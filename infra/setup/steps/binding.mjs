import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findOnPath, run } from '../commands.mjs';
import { packageRoot } from '../paths.mjs';
import { runNpm } from './dependencies.mjs';
import { findLibrary } from './libtensorflow.mjs';

/** @typedef {import('../run-setup.mjs').SetupStep} SetupStep */

const packageFolder = join(packageRoot, 'node_modules', '@tensorflow', 'tfjs-node');
const libFolder = join(packageFolder, 'deps', 'lib');
const headerName = join('include', 'node', 'node_api.h');

/**
 * Links libtensorflow into the folder where TF.js looks for it and provides TF.js's native binding: prebuilt for the
 * official library, compiled otherwise. Links, because a copy of the library takes 600 MB.
 * @type {SetupStep}
 */
export const bindingStep = {
  name: 'TF.js binding',
  isDone: (state) => state['binding'] === state['libtensorflow'] && findBinding() !== null && existsSync(fileOf('so')),
  run: async (step, state) => {
    const library = state['libtensorflow'] ?? '';
    const isRelease = findLibrary(library, 'libtensorflow')?.startsWith('libtensorflow.') === true;
    const missing = missingTools();
    const compiles = !isRelease && missing.length === 0;
    link(library);
    rmSync(join(packageFolder, 'lib'), { recursive: true, force: true });
    step.progress(compiles ? 'compiling' : 'prebuilt, or compiling');
    try {
      await runNpm(['rebuild', '--ignore-scripts=false', '--foreground-scripts', '@tensorflow/tfjs-node'], {
        ...nodeHeaders(),
        ...(compiles ? { npm_config_build_from_source: 'true' } : {}),
      });
    } catch (error) {
      if (missing.length > 0) {
        throw new Error(`there is no prebuilt binding, and compiling it needs ${missing.join(', ')}.`);
      }
      throw error;
    }
    const binding = findBinding();
    if (binding === null) throw new Error('npm rebuild succeeded but produced no tfjs_binding.node');
    await run(process.execPath, ['-e', 'process.dlopen({ exports: {} }, process.argv[1])', binding]);
    return { summary: compiles ? 'compiled' : 'ready', state: { binding: library } };
  },
  advice:
    'Install a C++ compiler, make and python3 (Debian, Ubuntu: apt-get install g++ make python3; macOS: xcode-select --install).',
};

/** @returns {string[]} */
function missingTools() {
  const compilers = ['c++', 'g++', 'clang++'];
  return [
    ...(compilers.some((name) => findOnPath(name) !== null) ? [] : ['a C++ compiler']),
    ...['make', 'python3'].filter((name) => findOnPath(name) === null),
  ];
}

/** @returns {string | null} */
function findBinding() {
  const lib = join(packageFolder, 'lib');
  if (!existsSync(lib)) return null;
  const files = readdirSync(lib).map((name) => join(lib, name, 'tfjs_binding.node'));
  return files.find((file) => existsSync(file)) ?? null;
}

/**
 * The aliases are the file names of the release TF.js was written for: when they exist, its install script neither
 * deletes this folder nor downloads the library again.
 * @param {string} library
 */
function link(library) {
  rmSync(join(packageFolder, 'deps'), { recursive: true, force: true });
  mkdirSync(libFolder, { recursive: true });
  symlinkSync(join(library, 'include'), join(packageFolder, 'deps', 'include'));
  /** @type {('libtensorflow' | 'libtensorflow_framework')[]} */
  const libraries = ['libtensorflow', 'libtensorflow_framework'];
  for (const stem of libraries) {
    const file = findLibrary(library, stem);
    if (file === null) throw new Error(`${library}/lib has no ${stem}`);
    for (const name of new Set([file, ...aliases(stem)]))
      symlinkSync(join(library, 'lib', file), join(libFolder, name));
  }
}

/**
 * @param {string} stem
 * @returns {string[]}
 */
function aliases(stem) {
  return process.platform === 'darwin'
    ? [`${stem}.dylib`, `${stem}.2.dylib`]
    : [`${stem}.so`, `${stem}.so.2`, `${stem}.so.2.9.1`];
}

/** @param {string} extension */
function fileOf(extension) {
  return join(libFolder, `libtensorflow.${process.platform === 'darwin' ? 'dylib' : extension}`);
}

/** Uses the headers of this Node installation, if it has them, so that node-gyp does not download them. */
function nodeHeaders() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, headerName)) ? { npm_config_nodedir: prefix } : {};
}
