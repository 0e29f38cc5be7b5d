import { join } from 'node:path';
import { messageOf } from '../../contracts/errors.js';
import { loadConfig, type Config } from '../../platform/config.js';
import { addressWithoutSecrets } from '../../platform/secrets.js';
import { createStorageGuard } from '../../platform/storage-guard.js';
import { createProgress, type Progress } from '../setup/progress.mjs';
import { claimDataFolder, openDataFolder } from './data-folder.js';
import { runFirstTime } from './first-run.js';
import { guarded } from './guardian.js';
import { clearLeftovers, createRunFile } from './run-file.js';
import { startStack } from './stack.js';
import { storageAdvice } from './storage-advice.js';
import { onStopRequest } from './stop-request.js';
import { createSupervisor, type Supervisor } from './supervisor.js';

/** What `npm start` does after set-up: boots the stack, trains a first model if there is none, and keeps running. */
export async function main(): Promise<void> {
  const progress = createProgress({ nameWidth: 24 });
  // The output may go to a full disk, or to a terminal that is gone.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  try {
    const config = loadConfig();
    await run(config, progress).catch(async (error: unknown) => {
      const advice = await storageAdvice(config.PERENNIAL_HOME, error);
      throw advice === null ? error : new Error(`${messageOf(error)}\n\n${advice}`);
    });
  } catch (error) {
    progress.print(`\n${messageOf(error)}`);
    process.exit(1);
  }
}

async function run(config: Config, progress: Progress): Promise<void> {
  const home = config.PERENNIAL_HOME;
  // What this process and its children write is for this account only.
  process.umask(0o077);
  openDataFolder(home);
  const release = claimDataFolder(home);
  const supervisor = await createCleanSupervisor(home, progress);
  const stopping = new AbortController();
  const stop = async (): Promise<void> => {
    stopping.abort();
    await supervisor.stop();
    release();
  };
  onStopRequest({
    stop: async (reason) => {
      progress.print(`\nStopping (${reason}) …`);
      await stop();
      progress.print('Stopped. All data is stored; npm start continues from here.');
    },
    kill: () => {
      supervisor.kill();
      release();
    },
  });
  try {
    await bootAndGreet(config, supervisor, progress, stopping.signal);
  } catch (error) {
    // A stop during the start makes the start fail; the stop request has already printed why.
    if (stopping.signal.aborted) return;
    await stop();
    throw error;
  }
}

async function createCleanSupervisor(home: string, progress: Progress): Promise<Supervisor> {
  const runFile = join(home, 'run', 'processes.json');
  const leftovers = await clearLeftovers(runFile);
  if (leftovers.length > 0)
    progress.print(`Stopped processes that an earlier start had left running: ${leftovers.join(', ')}.`);
  return createSupervisor({
    logsFolder: join(home, 'logs'),
    runFile: guarded(createRunFile(runFile)),
    report: (line) => progress.print(`  ! ${line}`),
  });
}

async function bootAndGreet(
  config: Config,
  supervisor: Supervisor,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const home = config.PERENNIAL_HOME;
  progress.print(`\nStarting Perennial on ${home}`);
  const { shortage } = await createStorageGuard({ folders: [home], minFreeBytes: config.MIN_FREE_BYTES }).measure();
  if (shortage !== null) progress.print(`  ! ${shortage}`);
  const { apiUrl, temporalUiUrl } = await startStack({
    config,
    supervisor,
    environment: process.env,
    onReady: (name, where, tookMs) => progress.begin(name).end(where === '' ? 'ready' : `ready at ${where}`, tookMs),
  });
  await runFirstTime({ apiUrl, datasetFolder: config.DATASET_DIR ?? null, progress, signal });
  if (signal.aborted) return;
  progress.print('');
  const addresses = {
    API: apiUrl,
    'API documentation': `${apiUrl}/docs`,
    'Temporal Web UI':
      temporalUiUrl === null ? 'set TEMPORAL_UI_URL to show it here' : addressWithoutSecrets(temporalUiUrl),
    Logs: join(home, 'logs'),
    'To stop': 'Ctrl-C',
  };
  for (const [name, value] of Object.entries(addresses)) progress.begin(name).end(value);
}
