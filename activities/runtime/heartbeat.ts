import { Context } from '@temporalio/activity';

/** Sets the progress that the next heartbeat reports. */
export type Report = (progress: unknown) => void;

const intervalMs = 1_000;

/**
 * Runs `work` with a heartbeat every second that carries its latest progress. The signal fires when the activity is
 * cancelled or its worker shuts down.
 */
export async function withHeartbeat<T>(work: (report: Report, signal: AbortSignal) => Promise<T>): Promise<T> {
  const context = Context.current();
  let latest: unknown = null;
  const timer = setInterval(() => context.heartbeat(latest), intervalMs);
  try {
    context.heartbeat(latest);
    return await work((progress) => {
      latest = progress;
    }, context.cancellationSignal);
  } finally {
    clearInterval(timer);
  }
}
