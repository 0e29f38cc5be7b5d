import { z } from 'zod';
import { nearestName } from './nearest.js';

/** Stands for the name of a place in a sentence, because a schema does not know yet where its value is. */
export const place = '\u0001';

type Issue = z.core.$ZodRawIssue;

/** What is wrong, as a sentence with `place`. Schemas with a message of their own do not ask. */
export function sentenceOf(issue: Issue): string {
  if (issue.input === undefined && issue.code !== 'unrecognized_keys') return missing(issue);
  switch (issue.code) {
    case 'invalid_type':
      return `${place} must be ${kindOf(issue.expected)}, not ${shown(issue.input)}.`;
    case 'invalid_value':
      return wrongValue(issue.values, issue.input);
    case 'invalid_union':
      return noForm(issue.options, issue.input, issue.discriminator);
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(key, knownKeys(issue.inst))).join(' ');
    case 'too_small':
      return `${place} must ${sizeOf(issue.origin, issue.exact ? '' : 'at least ', issue.minimum, issue.inclusive)}.`;
    case 'too_big':
      return `${place} must ${sizeOf(issue.origin, issue.exact ? '' : 'at most ', issue.maximum, issue.inclusive)}.`;
    case 'invalid_format':
      return `${place} must ${formats[issue.format] ?? `match ${issue.pattern ?? issue.format}`}.`;
    case 'not_multiple_of':
      return `${place} must be a multiple of ${issue.divisor}.`;
    case 'custom':
    case 'invalid_element':
    case 'invalid_key':
      return `${place} is not accepted here.`;
  }
}

/** None of the forms fits; of forms that differ in one member, the value of that member. */
function noForm(options: unknown, sent: unknown, discriminator: unknown): string {
  if (!Array.isArray(options)) return `${place} ${unexplained}`;
  const members = new Map<unknown, unknown>(Object.entries(sent ?? {}));
  const kind = members.get(discriminator);
  return kind === undefined ? `${place} is missing. Send ${oneOf(options)}.` : wrongValue(options, kind);
}

/** Ends the sentence about a value that has none of several forms. */
export const unexplained = 'has no form that is accepted here.';

function missing({ code, inst, ...issue }: Issue): string {
  const wanted = wantedOf(code, issue);
  const meaning = inst instanceof z.ZodType ? inst.description : undefined;
  return `${place} is missing. Send ${wanted}${meaning === undefined ? '' : `: ${meaning.replace(/\.$/, '')}`}.`;
}

function wantedOf(code: Issue['code'], issue: object): string {
  if (code === 'invalid_type' && 'expected' in issue) return kindOf(String(issue.expected));
  const values = 'values' in issue ? issue.values : 'options' in issue ? issue.options : undefined;
  return Array.isArray(values) ? oneOf(values) : 'it';
}

function wrongValue(values: readonly unknown[], sent: unknown): string {
  const near = typeof sent === 'string' && values.length > 3 ? nearestName(sent, values.map(String)) : undefined;
  const not = sent === undefined ? '' : `, not ${typeof sent === 'string' ? quoted(sent) : shown(sent)}`;
  return `${place} must be ${oneOf(values)}${not}.${near === undefined ? '' : ` The nearest is ${near}.`}`;
}

function oneOf(values: readonly unknown[]): string {
  return values.length === 1 ? String(values[0]) : `one of ${values.map(String).join(', ')}`;
}

function unknownKey(key: string, known: readonly string[]): string {
  const name = `\`${key.slice(0, 100)}\``;
  const near = nearestName(key, known);
  if (near === undefined) return `${name} is not a field of ${place}, which has none. Leave it out.`;
  return `${name} is not a field of ${place}. The nearest is \`${near}\`; known are ${known.join(', ')}.`;
}

function knownKeys(inst: unknown): readonly string[] {
  return inst instanceof z.ZodObject ? Object.keys(inst.shape) : [];
}

function sizeOf(origin: string, bound: string, limit: number | bigint, isInclusive = true): string {
  const unit = units[origin];
  if (unit !== undefined) return `have ${bound}${limit} ${unit}${limit === 1 ? '' : 's'}`;
  return `be ${isInclusive ? bound : bound === 'at least ' ? 'greater than ' : 'less than '}${limit}`;
}

const units: Readonly<Record<string, string>> = { string: 'character', array: 'element', set: 'element' };

const formats: Readonly<Record<string, string>> = {
  uuid: 'be a UUID',
  url: 'be a URL',
  email: 'be an e-mail address',
  datetime: 'be a time as in ISO 8601, such as 2026-01-31T12:00:00Z',
  date: 'be a date, such as 2026-01-31',
};

const kinds: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
};

function kindOf(expected: string): string {
  return kinds[expected] ?? expected;
}

/** A value for a message: its kind, or itself if it is short. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (Number.isNaN(value)) return 'another text';
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' ? 'a text' : 'an object';
}

function quoted(text: string): string {
  return `“${Array.from(text.slice(0, 200)).slice(0, 100).join('')}”`;
}
