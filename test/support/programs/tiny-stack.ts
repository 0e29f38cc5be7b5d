import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildSpec } from '../../../infra/local/child-spec.js';
import { guarded } from '../../../infra/local/guardian.js';
import { clearLeftovers, createRunFile } from '../../../infra/local/run-file.js';
import { onStopRequest } from '../../../infra/local/stop-request.js';
import { createSupervisor } from '../../../infra/local/supervisor.js';

/**
 * A supervisor over two small processes, as a separate program that tests may kill: `tiny-stack.js <folder>
 * [<grace in ms> [guarded]]`. It throws an error that nothing handles on SIGUSR2, and
 * writes `left <names>` for what it cleared and `up <pid> <pid>` when both are ready.
 */
const [folder = '.', graceMs = '300', guard] = process.argv.slice(2);
const runFile = join(folder, 'processes.json');
mkdirSync(folder, { recursive: true });

/** Reports that it is ready, starts a child that would outlive it, and ignores the signals in its name. */
const programs = {
  obedient: `require('child_process').spawn('sleep', ['600']); process.on('SIGTERM', () => process.exit(0));`,
  stubborn: `require('child_process').spawn('sleep', ['600']); process.on('SIGTERM', () => {});`,
};

function spec(name: keyof typeof programs, stopOrder: number): ChildSpec {
  return {
    name,
    command: process.execPath,
    args: ['-e', `${programs[name]} process.send({ type: 'ready' }); setInterval(() => {}, 1000);`],
    env: { PATH: process.env['PATH'] },
    ready: 'message',
    readyTimeoutMs: 10_000,
    stopSignal: 'SIGTERM',
    stopOrder,
    graceMs: Number(graceMs),
  };
}

console.log(`left ${(await clearLeftovers(runFile)).join(' ')}`);
process.on('SIGUSR2', () => {
  throw new Error('nothing handles this');
});
const records = createRunFile(runFile);
const supervisor = createSupervisor({
  logsFolder: folder,
  runFile: guard === undefined ? records : guarded(records),
  report: console.log,
});
onStopRequest({
  stop: async (reason) => {
    console.log(`stopping ${reason}`);
    await supervisor.stop();
  },
  kill: () => supervisor.kill(),
});
const children = await Promise.all([supervisor.start(spec('obedient', 1)), supervisor.start(spec('stubborn', 2))]);
console.log(`up ${children.map(({ pid }) => pid).join(' ')}`);
