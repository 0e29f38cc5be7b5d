import { messageOf } from '../../contracts/errors.js';

export interface StopActions {
  /** Stops in order; the process then exits with 0, or with 1 when this rejects or after an error. */
  stop: (reason: string) => Promise<void>;
  /** Kills everything at once; called on a second stop request. */
  kill: () => void;
}

const watchParentMs = 500;
/** One Ctrl-C arrives twice, from the terminal and forwarded by npm; only a later signal is a second request. */
const sameRequestMs = 1_000;

/**
 * Stops on Ctrl-C, SIGTERM, a closed terminal, an error that nothing handles, or when the npm process that started this one
 * is gone, because a killed npm forwards no signal.
 */
export function onStopRequest({ stop, kill }: StopActions): void {
  let requestedMs: number | null = null;
  const request = (reason: string, exitCode = 0): void => {
    if (requestedMs !== null) {
      if (Date.now() - requestedMs < sameRequestMs) return;
      kill();
      process.exit(130);
    }
    requestedMs = Date.now();
    stop(reason).then(
      () => process.exit(exitCode),
      () => {
        kill();
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', () => request('Ctrl-C'));
  process.on('SIGTERM', () => request('SIGTERM'));
  process.on('SIGHUP', () => request('terminal closed'));
  // Without this, such an error would end the supervisor at once and leave the processes of the stack running.
  const fail = (error: unknown): void => request(`unexpected error: ${messageOf(error)}`, 1);
  process.on('uncaughtException', fail).on('unhandledRejection', fail);
  if (process.env['npm_lifecycle_event'] !== undefined) watchParent(() => request('npm is gone'));
}

function watchParent(onGone: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, watchParentMs);
  timer.unref();
}
