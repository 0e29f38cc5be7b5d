import type { NativeConnection } from '@temporalio/worker';
import { messageOf } from '../contracts/errors.js';
import { searchAttributes } from '../contracts/names.js';
import type { Logger } from '../platform/logging.js';

/** The enum value of type "Keyword" in Temporal's API. */
const keyword = 2;

/**
 * Registers the search attributes of our workflows that the namespace lacks. Temporal Cloud does not allow a worker to do
 * that; then the log lists what to register manually.
 */
export async function registerSearchAttributes(
  temporal: NativeConnection,
  namespace: string,
  logger: Logger,
): Promise<void> {
  try {
    const { customAttributes } = await temporal.operatorService.listSearchAttributes({ namespace });
    const missing = searchAttributes.filter((name) => !Object.hasOwn(customAttributes, name));
    if (missing.length === 0) return;
    const wanted = Object.fromEntries(missing.map((name) => [name, keyword]));
    await temporal.operatorService.addSearchAttributes({ namespace, searchAttributes: wanted });
    logger.info({ namespace, missing }, 'search attributes registered');
  } catch (error) {
    logger.warn(
      { error, namespace },
      `search attributes cannot be registered (${messageOf(error)}); register ${searchAttributes.join(', ')} as Keyword`,
    );
  }
}
