import type { Logger } from '../../platform/logging.js';
import type { Channel } from './channel.js';

/** Writes every message to the log. */
export function createLogChannel(logger: Logger): Channel {
  return {
    name: 'log',
    kinds: ['*'],
    async send({ id, kind, createdAt, subject, text }) {
      logger.info({ message_id: id, kind, created_at: createdAt }, `${subject}. ${text}`);
      return Promise.resolve();
    },
  };
}
