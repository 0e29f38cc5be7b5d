import { createTransport } from 'nodemailer';
import { messageOf, systemCodeOf } from '../../contracts/errors.js';
import { DeliveryFailure, type Channel, type OutgoingMessage } from './channel.js';

export interface EmailOptions {
  smtpUrl: string;
  from: string;
  to: readonly string[];
  kinds: readonly string[];
  timeoutMs: number;
}

/** Sends each message as one e-mail to all recipients; a retry goes only to those that were refused. */
export function createEmailChannel(options: EmailOptions): Channel {
  const { smtpUrl, timeoutMs } = options;
  const transport = createTransport({
    url: smtpUrl,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    socketTimeout: timeoutMs,
  });
  return {
    name: 'email',
    kinds: options.kinds,
    async send(message, signal) {
      const missing = options.to.filter((address) => !message.reached.includes(address));
      // Nothing is left to send: recipients that lacked the message were removed from the configuration.
      if (missing.length === 0) return;
      const mail = { ...mailOf(message, options), envelope: { from: options.from, to: missing }, signal };
      const { accepted, rejectedErrors = [] } = await transport.sendMail(mail).catch((error: unknown) => {
        throw new DeliveryFailure(reasonOf(error, timeoutMs));
      });
      const refused = missing.filter((address) => !accepted.includes(address));
      if (refused.length === 0) return;
      const reasons = rejectedErrors.map(messageOf).join('; ');
      throw new DeliveryFailure(`The mail server refused ${refused.join(', ')}: ${reasons}`, { reached: accepted });
    },
  };
}

/** Whichever of the transport's time limits fires first, the reason is the same. */
function reasonOf(error: unknown, timeoutMs: number): string {
  return systemCodeOf(error) === 'ETIMEDOUT'
    ? `The mail server did not answer within ${timeoutMs} ms.`
    : `The mail server did not accept the message: ${messageOf(error)}`;
}

function mailOf({ deliveryId, kind, subject, text, link }: OutgoingMessage, { from, to }: EmailOptions): object {
  return {
    from,
    to: [...to],
    subject: `[Perennial] ${subject}`,
    text: link === null ? text : `${text}\n\n${link}`,
    messageId: `<${deliveryId}@perennial>`,
    // Suppresses out-of-office replies, and lets receivers filter by kind.
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Perennial-Kind': kind },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}
