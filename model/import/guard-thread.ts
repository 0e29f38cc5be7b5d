import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';

/** Watchdog thread: kills its process when it exceeds the limit of memory or time. */
const limits = z.object({ memoryBytes: z.number(), timeMs: z.number() }).parse(workerData);
const everyMs = 100;
const standardError = 2;

const startedAt = performance.now();
function checkLimits(): void {
  if (process.memoryUsage.rss() > limits.memoryBytes) {
    killProcess(`The model needs more than ${(limits.memoryBytes / 1e6).toFixed(0)} MB of memory.`);
  }
  if (performance.now() - startedAt > limits.timeMs) {
    killProcess(`The model could not be checked within ${(limits.timeMs / 1000).toFixed(0)} seconds.`);
  }
}

function killProcess(reason: string): void {
  // Not process.stderr: a thread's is written by the main thread, which may be blocked.
  writeSync(standardError, `${reason}\n`);
  process.kill(process.pid, 'SIGKILL');
}

checkLimits();
setInterval(checkLimits, everyMs);
parentPort?.postMessage('watching');
