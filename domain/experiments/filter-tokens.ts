import { PerennialError } from '../../contracts/errors.js';

/** A token of a filter, and the character at which it begins, counted from 1. */
export type Token =
  | { kind: 'field'; group: string | null; name: string; text: string; at: number }
  | { kind: 'value'; value: string | number | boolean; text: string; at: number }
  | { kind: 'word' | 'symbol' | 'end'; text: string; at: number };

const maxCharacters = 4_000;
/** Reserved words; upper and lower case are equal. */
const keywords = ['and', 'or', 'not', 'in', 'asc', 'desc'];

const patterns = {
  space: /\s+/y,
  text: /'((?:[^']|'')*)'/y,
  number: /-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])/y,
  /** `metrics.accuracy`, or a name of any characters in backquotes: metrics.`top 5`. */
  field: /(?:([A-Za-z_]+)\.)?(?:`((?:[^`]|``)+)`|([A-Za-z_][\w.-]*))/y,
  symbol: /!=|<=|>=|[=<>(),]/y,
};

/** The error of a filter or an order, with its position. */
export function filterError(at: number, what: string): PerennialError {
  return new PerennialError('bad_request', `Syntax error at character ${at}: ${what}.`);
}

/** Splits a filter into tokens. Throws `bad_request` at the first character that begins no token. */
export function tokenize(text: string): Token[] {
  if (text.length > maxCharacters)
    throw filterError(maxCharacters + 1, `it is longer than ${maxCharacters} characters`);
  const zero = text.indexOf('\0');
  if (zero >= 0) throw filterError(zero + 1, 'null characters are not allowed');
  const tokens: Token[] = [];
  let position = 0;
  while (position < text.length) {
    const space = match(patterns.space, text, position);
    if (space) {
      position += space[0].length;
      continue;
    }
    const token = tokenAt(text, position);
    tokens.push(token);
    position += token.text.length;
  }
  return [...tokens, { kind: 'end', text: '', at: text.length + 1 }];
}

function tokenAt(text: string, position: number): Token {
  const at = position + 1;
  const quoted = match(patterns.text, text, position);
  if (quoted) return { kind: 'value', value: (quoted[1] ?? '').replaceAll("''", "'"), text: quoted[0], at };
  const number = match(patterns.number, text, position);
  if (number && Number.isFinite(Number(number[0]))) {
    return { kind: 'value', value: Number(number[0]), text: number[0], at };
  }
  const symbol = match(patterns.symbol, text, position);
  if (symbol) return { kind: 'symbol', text: symbol[0], at };
  const field = match(patterns.field, text, position);
  if (field) return wordOrField(field, at);
  if (text[position] === "'") throw filterError(at, "the text that begins here has no closing '");
  throw filterError(at, `unexpected ${text.slice(position, position + 10)}`);
}

function wordOrField([text, group, quoted, plain = '']: RegExpExecArray, at: number): Token {
  const word = plain.toLowerCase();
  if (group === undefined && keywords.includes(word)) return { kind: 'word', text, at };
  if (group === undefined && (word === 'true' || word === 'false')) {
    return { kind: 'value', value: word === 'true', text, at };
  }
  return { kind: 'field', group: group ?? null, name: quoted?.replaceAll('``', '`') ?? plain, text, at };
}

function match(pattern: RegExp, text: string, position: number): RegExpExecArray | null {
  pattern.lastIndex = position;
  return pattern.exec(text);
}
