import { runKinds } from '../../contracts/experiments/experiments.js';
import { runStatuses } from '../../contracts/workflows/runs.js';
import {
  fieldGroups,
  runFields,
  type Field,
  type FieldGroup,
  type FieldType,
  type FilterValue,
  type RunField,
} from '../../contracts/experiments/run-filter.js';

/** Allowed values of the fields that are enums. */
const closedSets: Partial<Record<RunField, readonly string[]>> = { kind: runKinds, status: runStatuses };

const maxNameCharacters = 250;
const timePattern = /^[1-9]\d{3}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?)?$/;

/** Returns the field of that name, or the reason why there is none. */
export function findField(group: string | null, name: string): Field | string {
  if (group === null) {
    if (isRunField(name)) return { group: 'run', name };
    return `there is no field ${name}; fields are ${Object.keys(runFields).join(', ')}, metrics.…, params.… and tags.…`;
  }
  if (!isFieldGroup(group)) return `there is no group ${group}; groups are ${Object.keys(fieldGroups).join(', ')}`;
  if (name.length > maxNameCharacters) return `a name has at most ${maxNameCharacters} characters`;
  return { group, name };
}

export function isTimeField(field: Field): boolean {
  return typeOf(field) === 'time';
}

function typeOf(field: Field): FieldType {
  return field.group === 'run' ? runFields[field.name] : fieldGroups[field.group];
}

/** Returns why `value` does not fit the field; null when it fits. */
export function refuseValue(field: Field, value: FilterValue): string | null {
  const type = typeOf(field);
  if (type === 'any') return null;
  if (type === 'number') return typeof value === 'number' ? null : 'this field is a number';
  if (typeof value !== 'string') return "this field is text; write it in '…'";
  if (type === 'time') return isTime(value) ? null : "write a time as '2026-01-31' or '2026-01-31T12:00:00Z'";
  const allowed = field.group === 'run' ? closedSets[field.name] : undefined;
  return allowed && !allowed.includes(value) ? `${field.name} is one of ${allowed.join(', ')}` : null;
}

/** Converts a time of a filter to ISO form. A time without a zone is UTC. */
export function momentOf(time: string): string {
  const hasZone = /(?:Z|[+-]\d\d:\d\d)$/.test(time.slice(10));
  return new Date(time.length === 10 || hasZone ? time.replace(' ', 'T') : `${time.replace(' ', 'T')}Z`).toISOString();
}

function isTime(text: string): boolean {
  if (!timePattern.test(text)) return false;
  try {
    // JavaScript moves 31 February to March; reject such dates instead.
    return momentOf(text.slice(0, 10)).startsWith(text.slice(0, 10)) && momentOf(text).length === 24;
  } catch {
    return false;
  }
}

function isRunField(name: string): name is RunField {
  return Object.hasOwn(runFields, name);
}

function isFieldGroup(name: string): name is FieldGroup {
  return Object.hasOwn(fieldGroups, name);
}
