import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';

/** A thread that looks at the memory of its process, and ends the process when there is too much of it. */
const limits = z.object({ memoryBytes: z.number(), timeMs: z.number() }).parse(workerData);
const everyMs = 100;
const standardError = 2;

const startedAt = performance.now();
function checkLimits(): void {
  if (process.memoryUsage.rss() > limits.memoryBytes) {
    killProcess(`The model takes more than ${(limits.memoryBytes / 1e6).toFixed(0)} MB of memory.`);
  }
  if (performance.now() - startedAt > limits.timeMs) {
    killProcess(`The model could not be tried within ${(limits.timeMs / 1000).toFixed(0)} seconds.`);
  }
}

function killProcess(reason: string): void {
  // Not process.stderr: that of a thread waits for the main thread, which may be busy for ever.
  writeSync(standardError, `${reason}\n`);
  process.kill(process.pid, 'SIGKILL');
}

checkLimits();
setInterval(checkLimits, everyMs);
parentPort?.postMessage('watching');
