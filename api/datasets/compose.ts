import type { Logger } from '../../platform/logging.js';
import type { VersionPublisher } from '../../stores/datasets/publish-version.js';

const publishEveryMs = 60_000;
/** A process that makes a version publishes it at once; it needs less time than this. */
const overdueSeconds = 60;

/**
 * Publishes, every minute, the dataset versions that the process that made them did not publish. Returns the function that
 * stops it.
 */
export function startPublishing(publisher: Pick<VersionPublisher, 'publishPending'>, logger: Logger): () => void {
  const attempt = (): void => {
    publisher.publishPending(overdueSeconds).catch((error: unknown) => {
      logger.warn({ error }, 'dataset versions could not be published; it is tried again in a minute');
    });
  };
  attempt();
  const timer = setInterval(attempt, publishEveryMs);
  return () => clearInterval(timer);
}
