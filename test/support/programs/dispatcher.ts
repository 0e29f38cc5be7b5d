import { createWebhookChannel } from '../../../activities/notifications/webhook.js';
import { startDispatcher } from '../../../activities/notifications/dispatcher.js';
import { outboxChannel } from '../../../contracts/names.js';
import { createLogger } from '../../../platform/logging.js';
import { createDatabase } from '../../../stores/postgres/database.js';
import { createDeliveryStore } from '../../../stores/notifications/deliveries.js';
import { fastTiming } from '../notification-fixture.js';

/** A dispatcher with a webhook, as a separate program that tests may kill: `dispatcher.js <postgres> <webhook>`. */
const [databaseUrl = '', url = ''] = process.argv.slice(2);
const logger = createLogger('test', 'silent');
const db = createDatabase({ url: databaseUrl, poolSize: 4, logger });
await startDispatcher({
  deliveries: createDeliveryStore(db),
  channels: [createWebhookChannel({ url, secret: 'a secret of tests', kinds: ['*'] })],
  subscribe: (onHint) => db.listen(outboxChannel, onHint),
  publicUrl: null,
  logger,
  timing: { ...fastTiming, timeoutMs: 60_000, leaseMs: 1_500 },
});
console.log('up');
