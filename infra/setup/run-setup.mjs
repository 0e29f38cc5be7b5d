import { join } from 'node:path';
import { killRunningCommands } from './commands.mjs';
import { withLock } from './lock.mjs';
import { cacheFolder, lockFile } from './paths.mjs';
import { readState, remember } from './state.mjs';
import { bindingStep } from './steps/binding.mjs';
import { buildStep } from './steps/build.mjs';
import { dependenciesStep } from './steps/dependencies.mjs';
import { gitHookStep } from './steps/git-hook.mjs';
import { libtensorflowStep } from './steps/libtensorflow.mjs';
import { minioStep } from './steps/minio.mjs';
import { objectStoreStep } from './steps/object-store.mjs';
import { postgresStep } from './steps/postgres.mjs';
import { refusalHere } from './steps/runtime.mjs';
import { temporalStep } from './steps/temporal.mjs';

/** @typedef {import('./state.mjs').SetupState} SetupState */
/** @typedef {import('./progress.mjs').Progress} Progress */

/**
 * Something that set-up provides.
 * @typedef {object} SetupStep
 * @property {string} name
 * @property {(state: SetupState) => boolean} isDone called at every start, so it must be cheap
 * @property {string} [replacedBy] environment variable that names a service of the user instead
 * @property {boolean} [isForDevelopment] whether `npm start` skips it
 * @property {(step: import('./progress.mjs').Step, state: SetupState) => Promise<{ summary: string, state?: SetupState }>} run
 * @property {string} advice what the user can do when the step fails
 */

/** @type {readonly SetupStep[]} */
const steps = [
  dependenciesStep,
  libtensorflowStep,
  bindingStep,
  postgresStep,
  objectStoreStep,
  temporalStep,
  buildStep,
  gitHookStep,
];

/** @typedef {{ progress: Progress, purpose: 'start' | 'test', withMinio?: boolean }} SetupOptions */

/**
 * Provides everything that `npm start` or `npm test` needs. Exits with a message when a step fails. Tests always start
 * their own services, so only `start` uses the services of the user.
 * @param {SetupOptions} options
 */
export async function runSetup(options) {
  const { progress } = options;
  const refused = refusalHere();
  if (refused !== null) {
    progress.print(refused);
    process.exit(1);
  }
  const stop = () => {
    killRunningCommands();
    process.exit(1);
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    await runSteps(options);
  } catch (error) {
    progress.print(error instanceof Error ? error.message : String(error));
    process.exit(1);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

/** @param {SetupOptions} options */
async function runSteps({ progress, purpose, withMinio = false }) {
  const startedMs = Date.now();
  const needed = steps.filter((step) => purpose === 'test' || !isSkippedByStart(step));
  const wanted = withMinio ? [...needed, minioStep] : needed;
  const isReady = () => wanted.every((step) => isDone(step, readState()));
  const seconds = () => ((Date.now() - startedMs) / 1000).toFixed(1);
  if (!isReady()) {
    const wait = (/** @type {{ pid: number }} */ holder) =>
      progress.print(`Another set-up is running (process ${String(holder.pid)}); waiting for it to end.`);
    await withLock(lockFile, wait, () =>
      withLock(join(cacheFolder(), 'setup.lock'), wait, async () => {
        if (isReady()) return;
        progress.print(`Setting up (downloads are stored in ${cacheFolder()})`);
        for (const step of wanted) await runStep(step, progress);
      }),
    );
  }
  progress.print(`Set-up is complete (${seconds()} s).`);
}

/** @param {SetupStep} step */
function isSkippedByStart({ isForDevelopment = false, replacedBy }) {
  return isForDevelopment || (replacedBy !== undefined && Boolean(process.env[replacedBy]));
}

/**
 * @param {SetupStep} step
 * @param {Progress} progress
 */
async function runStep(step, progress) {
  const line = progress.begin(step.name);
  if (isDone(step, readState())) return line.end('already there');
  try {
    const outcome = await step.run(line, readState());
    if (outcome.state) remember(outcome.state);
    line.end(outcome.summary);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Set-up could not provide: ${step.name}. ${reason}\n${step.advice}`);
  }
}

/**
 * @param {SetupStep} step
 * @param {SetupState} state
 */
function isDone(step, state) {
  try {
    return step.isDone(state);
  } catch {
    return false;
  }
}
