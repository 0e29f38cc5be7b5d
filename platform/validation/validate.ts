import type { z } from 'zod';
import { place, sentenceOf, unexplained } from './sentences.js';

/** A fault of a value: where it is, and a message. */
export interface ValueFault {
  path: readonly PropertyKey[];
  detail: string;
}

export type Validated<T> = { data: T; faults: null } | { data: null; faults: readonly ValueFault[] };

/**
 * Parses a value by a schema. Faults are sentences that name their place, such as "`source.path` is missing. Send a
 * text." `whole` is what the value itself is called, such as "the body".
 */
export function validate<T extends z.ZodType>(schema: T, value: unknown, whole: string): Validated<z.output<T>> {
  const parsed = schema.safeParse(value, { error: sentenceOf });
  if (parsed.success) return { data: parsed.data, faults: null };
  return { data: null, faults: parsed.error.issues.flatMap((issue) => faultsOf(issue, [], whole)) };
}

/** A damaged file may have thousands of faults. */
const shownFaults = 3;

/**
 * As `validate`, for values that are not a client's request.
 * @throws Error with the first faults as its message
 */
export function requireValid<T extends z.ZodType>(schema: T, value: unknown, whole: string): z.output<T> {
  const { data, faults } = validate(schema, value, whole);
  if (faults === null) return data;
  const shown = faults.slice(0, shownFaults).map(({ detail }) => detail);
  throw new Error(shown.join(' '));
}

type Issue = z.core.$ZodIssue;

function faultsOf(issue: Issue, above: readonly PropertyKey[], whole: string): ValueFault[] {
  const path = [...above, ...issue.path];
  const nearest = issue.code === 'invalid_union' ? nearestForm(issue.errors) : undefined;
  if (nearest !== undefined && isUnexplained(issue)) return nearest.flatMap((each) => faultsOf(each, path, whole));
  return [{ path, detail: named(issue.message, path, whole) }];
}

/** A schema's own message is better than those of its forms. */
function isUnexplained({ message }: Issue): boolean {
  return message === `${place} ${unexplained}`;
}

/** Of several forms the one that the value resembles most: whose first fault lies deepest, then with the fewest faults. */
function nearestForm(forms: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const depth = (issues: readonly Issue[]): number => Math.min(...issues.map(depthOf));
  const faults = (issues: readonly Issue[]): number => issues.reduce((sum, issue) => sum + countOf(issue), 0);
  return forms.toSorted((one, other) => depth(other) - depth(one) || faults(one) - faults(other))[0];
}

/** Each unknown member is a fault of its own. */
function countOf(issue: Issue): number {
  return issue.code === 'unrecognized_keys' ? issue.keys.length : 1;
}

/** A member that is wrong lies below an object of the right kind, also if it is the object that names it. */
function depthOf({ path, code }: Issue): number {
  return path.length + (code === 'invalid_type' || code === 'invalid_value' ? 0 : 1);
}

function named(message: string, path: readonly PropertyKey[], whole: string): string {
  const name = path.length === 0 ? whole : `\`${dotted(path)}\``;
  const sentence = message.includes(place) ? message.replaceAll(place, name) : `${name}: ${message}`;
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

/** The place as a client writes it: `images[3].url`. */
function dotted(path: readonly PropertyKey[]): string {
  return path.reduce<string>((before, part) => {
    if (typeof part === 'number') return `${before}[${part}]`;
    return before === '' ? String(part) : `${before}.${String(part)}`;
  }, '');
}
