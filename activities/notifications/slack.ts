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

/** Slack refuses a message with a longer header; a section may have 3,000 characters. */
const longestHeader = 150;

function slackBody({ subject, text, link, kind, createdAt }: OutgoingMessage): object {
  return {
    // Shown in notifications on devices.
    text: `${escaped(subject)}: ${escaped(text)}`,
    mrkdwn: false,
    blocks: [
      { type: escaped(subject).length > longestHeader ? 'section' : 'header', text: plain(subject) },
      { type: 'section', text: plain(text) },
      ...(link === null ? [] : [{ type: 'section', text: { type: 'mrkdwn', text: `<${link}>` } }]),
      { type: 'context', elements: [plain(`${kind} · ${createdAt}`)] },
    ],
  };
}

/** Names of classes may hold `*`, `_` or `:grass:`, which Slack would format in any other text. */
function plain(text: string): object {
  return { type: 'plain_text', text: escaped(text), emoji: false };
}

/** Escapes the three characters that have a meaning in Slack's markup. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
