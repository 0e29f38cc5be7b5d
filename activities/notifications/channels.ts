import type { Config } from '../../platform/config.js';
import type { Logger } from '../../platform/logging.js';
import type { Channel } from './channel.js';
import { createEmailChannel } from './email.js';
import { createLogChannel } from './log.js';
import { createSlackChannel } from './slack.js';
import { createWebhookChannel } from './webhook.js';

type Settings = Pick<
  Config,
  | 'NOTIFY_KINDS'
  | 'NOTIFY_WEBHOOK_URL'
  | 'NOTIFY_WEBHOOK_SECRET'
  | 'SMTP_URL'
  | 'NOTIFY_EMAIL_FROM'
  | 'NOTIFY_EMAIL_TO'
  | 'NOTIFY_SLACK_WEBHOOK_URL'
  | 'NOTIFY_TIMEOUT_MS'
>;

/** The configured channels; the log channel always is. */
export function configuredChannels(config: Settings, logger: Logger): Channel[] {
  const { NOTIFY_KINDS: kinds, NOTIFY_WEBHOOK_URL: url, NOTIFY_WEBHOOK_SECRET: secret } = config;
  const {
    SMTP_URL: smtpUrl,
    NOTIFY_EMAIL_FROM: from,
    NOTIFY_EMAIL_TO: to,
    NOTIFY_SLACK_WEBHOOK_URL: slackUrl,
  } = config;
  const channels = [createLogChannel(logger)];
  if (url !== undefined && secret !== undefined) channels.push(createWebhookChannel({ url, secret, kinds }));
  if (smtpUrl !== undefined && from !== undefined && to !== undefined) {
    channels.push(createEmailChannel({ smtpUrl, from, to, kinds, timeoutMs: config.NOTIFY_TIMEOUT_MS }));
  }
  if (slackUrl !== undefined) channels.push(createSlackChannel({ url: slackUrl, kinds }));
  return channels;
}
