import { syncBuiltinESMExports } from 'node:module';
import workerThreads, { Worker } from 'node:worker_threads';

/**
 * The API with killable inference threads: on the message `kill a thread`, it sends one of them a message that no
 * thread understands, which ends it in the middle of its work.
 */
const alive = new Set<Worker>();

class WatchedWorker extends Worker {
  constructor(...given: ConstructorParameters<typeof Worker>) {
    super(...given);
    alive.add(this);
    this.once('exit', () => alive.delete(this));
  }
}
workerThreads.Worker = WatchedWorker;
syncBuiltinESMExports();

process.on('message', (message) => {
  if (message === 'kill a thread') [...alive].at(-1)?.postMessage('no request');
});

await import('../../../api/server.js');
