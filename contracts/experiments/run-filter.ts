/** Types of field values; parameters can have any. */
export type FieldType = 'number' | 'text' | 'time' | 'any';

/** Fields of every run, with their types. */
export const runFields = {
  run_id: 'text',
  name: 'text',
  kind: 'text',
  status: 'text',
  model_name: 'text',
  dataset: 'text',
  dataset_version: 'number',
  workflow_id: 'text',
  parent_run_id: 'text',
  code_revision: 'text',
  error_code: 'text',
  started_at: 'time',
  ended_at: 'time',
  duration_seconds: 'number',
} as const satisfies Record<string, FieldType>;
export type RunField = keyof typeof runFields;

/** Groups of fields that differ between runs. */
export const fieldGroups = { metrics: 'number', params: 'any', tags: 'text' } as const satisfies Record<
  string,
  FieldType
>;
export type FieldGroup = keyof typeof fieldGroups;

/** A field in a filter or order: of every run, or of a group by its name. */
export type Field = { group: 'run'; name: RunField } | { group: FieldGroup; name: string };

export const operators = ['=', '!=', '<', '<=', '>', '>='] as const;
export type Operator = (typeof operators)[number];
export type FilterValue = string | number | boolean;

/**
 * A condition on runs. A run that lacks the field is unequal to every value, and neither less nor greater. Times are ISO
 * texts.
 */
export type Filter =
  | { kind: 'and' | 'or'; operands: readonly Filter[] }
  | { kind: 'not'; operand: Filter }
  | { kind: 'compare'; field: Field; operator: Operator; value: FilterValue }
  | { kind: 'in'; field: Field; values: readonly FilterValue[] };

/** A field to sort by. Runs that lack it sort last in both directions. */
export interface SortKey {
  field: Field;
  descending: boolean;
}
