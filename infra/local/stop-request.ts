export interface StopActions {
  /** Stops in order; the process ends with 0 afterwards, or with 1 when this fails. */
  stop: (reason: string) => Promise<void>;
  /** Ends everything at once: the second request, for someone who will not wait. */
  kill: () => void;
}

const watchParentMs = 500;
/** One Ctrl-C comes twice: from the terminal, and passed on by npm. Only a later one is another request. */
const sameRequestMs = 1_000;

/**
 * Stops on Ctrl-C, SIGTERM, a closed terminal, or when the npm that started this process is gone: a killed npm
 * passes nothing on.
 */
export function onStopRequest({ stop, kill }: StopActions): void {
  let requestedMs: number | null = null;
  const request = (reason: string): void => {
    if (requestedMs !== null) {
      if (Date.now() - requestedMs < sameRequestMs) return;
      kill();
      process.exit(130);
    }
    requestedMs = Date.now();
    stop(reason).then(
      () => process.exit(0),
      () => {
        kill();
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', () => request('Ctrl-C'));
  process.on('SIGTERM', () => request('SIGTERM'));
  process.on('SIGHUP', () => request('terminal closed'));
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
