import type { Channel, OutgoingMessage } from './channel.js';
import { postJson } from './post.js';

/** Posts each message to an incoming webhook of Slack. */
export function createSlackChannel({ url, kinds }: { url: string; kinds: readonly string[] }): Channel {
  return {
    name: 'slack',
    kinds,
    send: (message, signal) => postJson({ url, body: JSON.stringify(slackBody(message)) }, signal),
  };
}

function slackBody({ subject, text, link, kind, createdAt }: OutgoingMessage): object {
  const more = link === null ? '' : `\n<${link}>`;
  return {
    // Shown in notifications on devices.
    text: `${escaped(subject)}: ${escaped(text)}`,
    blocks: [
      { type: 'section', text: { type: 'mrkdwn', text: `*${escaped(subject)}*\n${escaped(text)}${more}` } },
      { type: 'context', elements: [{ type: 'mrkdwn', text: `${escaped(kind)} · ${createdAt}` }] },
    ],
  };
}

/** Escapes the three characters that have a meaning in Slack's markup. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
