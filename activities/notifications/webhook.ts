import { createHmac } from 'node:crypto';
import type { Channel } from './channel.js';
import { postJson } from './post.js';

/** Posts each message as signed JSON, see docs/notifications.md. */
export function createWebhookChannel(options: { url: string; secret: string; kinds: readonly string[] }): Channel {
  return {
    name: 'webhook',
    kinds: options.kinds,
    async send({ id, deliveryId, kind, createdAt, text, payload }, signal) {
      const body = JSON.stringify({ id, kind, created_at: createdAt, text, payload });
      const headers = {
        'X-Perennial-Signature': signatureOf(body, options.secret, Math.floor(Date.now() / 1000)),
        'X-Perennial-Delivery': deliveryId,
      };
      await postJson({ url: options.url, body, headers }, signal);
    },
  };
}

/** The signature covers the time, so that a third party cannot replay an old message. */
function signatureOf(body: string, secret: string, unixSeconds: number): string {
  const digest = createHmac('sha256', secret).update(`${unixSeconds}.${body}`).digest('hex');
  return `t=${unixSeconds},v1=${digest}`;
}
