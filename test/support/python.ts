import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withLock } from '../../infra/setup/lock.mjs';
import { cacheFolder, packageRoot, platformKey } from '../../infra/setup/paths.mjs';

const run = promisify(execFile);

const folderOfScripts = join(packageRoot, 'test', 'support', 'python');

/** The pinned packages have wheels for these; MLServer runs on no later one. */
const interpreters = ['python3', 'python3.12', 'python3.11'];
const versionProgram = 'import sys, venv, ensurepip; print(".".join(map(str, sys.version_info[:2])))';

interface Interpreter {
  command: string;
  version: string;
}

function findInterpreter(): Interpreter | null {
  for (const command of interpreters) {
    const { status, stdout } = spawnSync(command, ['-c', versionProgram], { encoding: 'utf8' });
    const version = status === 0 ? stdout.trim() : '';
    if (version === '3.11' || version === '3.12') return { command, version };
  }
  return null;
}

const interpreter = findInterpreter();

/** Whether the Python clients can run on this machine. */
export const hasPython = interpreter !== null;
if (!hasPython) console.warn('skipped: no Python 3.11 or 3.12 with venv and pip; what needs it is not tried');

/** Programs of the environment with the clients, such as `python` and `schemathesis`. */
export interface PythonTools {
  program(name: string): string;
  /** Runs a script of test/support/python and returns the JSON it prints; throws with its output when it fails. */
  script(name: string, args: readonly string[]): Promise<unknown>;
}

/** The environment with the pinned clients: half a minute and 300 MB. Throws when the packages cannot be installed. */
export async function pythonTools(): Promise<PythonTools> {
  const program = await pythonEnvironment('clients', join(folderOfScripts, 'requirements.txt'));
  return {
    program,
    async script(name, args) {
      const { stdout } = await run(program('python'), [join(folderOfScripts, name), ...args], {
        maxBuffer: 10_000_000,
        timeout: 90_000,
      });
      const printed: unknown = JSON.parse(stdout);
      return printed;
    },
  };
}

/**
 * Makes an environment with the pinned packages of a file, once, in the folder for downloads. Returns the function that
 * names its programs. Throws when the packages cannot be installed.
 */
export async function pythonEnvironment(name: string, requirements: string): Promise<PythonTools['program']> {
  if (interpreter === null) throw new Error('there is no Python 3.11 or 3.12 with venv and pip');
  const { command, version } = interpreter;
  // Different pins need a different environment.
  const pins = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const folder = join(cacheFolder(), 'python', `${name}-${version}-${platformKey()}-${pins}`);
  await withLock(
    `${folder}.lock`,
    () => undefined,
    () => install(command, requirements, folder),
  );
  return (program) => join(folder, 'bin', program);
}

async function install(command: string, requirements: string, folder: string): Promise<void> {
  const done = join(folder, '.complete');
  if (existsSync(done)) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, '..'), { recursive: true });
  await run(command, ['-m', 'venv', folder]);
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--no-compile'];
  await run(join(folder, 'bin', 'python'), [...pip, '--no-deps', '--only-binary=:all:', '-r', requirements]);
  writeFileSync(done, '');
}
