import { camelCase } from '../../contracts/http/spelling.js';
import {
  runFields,
  type Field,
  type Filter,
  type Operator,
  type RunField,
  type SortKey,
} from '../../contracts/experiments/run-filter.js';

/** Collects the parameters of a statement: adds a value and returns its placeholder. */
export type Bind = (value: unknown) => string;

type SqlType = 'text' | 'float8' | 'timestamptz' | 'jsonb';

/** A field as an expression on `runs`. Metrics and parameters are jsonb, which orders numbers and texts. */
interface Expression {
  sql: string;
  type: SqlType;
}

const columns: Readonly<Record<RunField, string>> = {
  run_id: 'runs.run_id',
  name: 'runs.name',
  kind: 'runs.kind',
  status: 'runs.status',
  model_name: 'runs.model_name',
  dataset: 'runs.dataset',
  dataset_version: 'runs.dataset_version::float8',
  workflow_id: 'runs.workflow_id',
  parent_run_id: 'runs.parent_run_id',
  code_revision: 'runs.code_revision',
  error_code: 'runs.error_code',
  started_at: 'runs.started_at',
  ended_at: 'runs.ended_at',
  duration_seconds: 'extract(epoch FROM runs.ended_at - runs.started_at)::float8',
};
const sqlTypes = { text: 'text', number: 'float8', time: 'timestamptz' } as const;

/** The condition of a filter as SQL that is true or false, never null. Values and names are parameters. */
export function conditionOf(filter: Filter, bind: Bind): string {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return `(${filter.operands.map((operand) => conditionOf(operand, bind)).join(filter.kind === 'and' ? ' AND ' : ' OR ')})`;
    case 'not':
      return `(NOT ${conditionOf(filter.operand, bind)})`;
    case 'in': {
      const { sql, type } = expressionOf(filter.field, bind);
      const values = bind(filter.values.map((value) => valueFor(type, value)));
      return `coalesce(${sql} = ANY(${values}::text[]::${type}[]), false)`;
    }
    case 'compare':
      return comparisonOf(expressionOf(filter.field, bind), filter.operator, filter.value, bind);
  }
}

function comparisonOf({ sql, type }: Expression, operator: Operator, value: unknown, bind: Bind): string {
  const against = `${bind(valueFor(type, value))}::${type}`;
  if (operator === '!=') return `(${sql} IS DISTINCT FROM ${against})`;
  // jsonb orders every text before every number; a filter must not compare them.
  const guard = type === 'jsonb' && operator !== '=' ? `jsonb_typeof(${sql}) = 'number' AND ` : '';
  return `coalesce(${guard}${sql} ${operator} ${against}, false)`;
}

function expressionOf(field: Field, bind: Bind): Expression {
  switch (field.group) {
    case 'run':
      return { sql: columns[field.name], type: sqlTypes[runFields[field.name]] };
    case 'metrics':
      return { sql: `(runs.final_metrics -> ${bind(field.name)}::text)`, type: 'jsonb' };
    case 'params':
      return { sql: `(runs.hyperparameters -> ${bind(camelCase(field.name))}::text)`, type: 'jsonb' };
    case 'tags':
      return { sql: `(runs.tags ->> ${bind(field.name)}::text)`, type: 'text' };
  }
}

function valueFor(type: SqlType, value: unknown): string {
  return type === 'jsonb' ? JSON.stringify(value) : String(value);
}

/** A sort order as SQL: ORDER BY, the key of a row, and the condition for rows after a key. */
export interface SortedBy {
  orderBy: string;
  /** A jsonb array of the row's values of all fields, its sequence last. */
  key: string;
  after(values: readonly unknown[]): string;
}

/** Sorts by the fields and, where they are equal, newest first: a total order, so that pages neither skip nor repeat. */
export function sortedBy(keys: readonly SortKey[], bind: Bind): SortedBy {
  const sorted = [
    ...keys.map(({ field, descending }) => ({ ...expressionOf(field, bind), descending })),
    { sql: 'runs.sequence', type: 'bigint', descending: true },
  ];
  return {
    orderBy: sorted.map(({ sql, descending }) => `${sql} ${descending ? 'DESC' : 'ASC'} NULLS LAST`).join(', '),
    key: `jsonb_build_array(${sorted.map(({ sql }) => sql).join(', ')})`,
    after(values) {
      const bound = sorted.map(({ type }, index) => {
        const value = values[index] ?? null;
        return `${bind(value === null || type !== 'jsonb' ? value : JSON.stringify(value))}::${type}`;
      });
      const branches = sorted.map(({ sql, descending }, index) => {
        const equal = sorted.slice(0, index).map((each, before) => `${each.sql} IS NOT DISTINCT FROM ${bound[before]}`);
        const value = bound[index];
        // Rows without this field sort last, so no row with it follows them.
        const later =
          values[index] === null ? 'false' : `(${sql} ${descending ? '<' : '>'} ${value} OR ${sql} IS NULL)`;
        return `(${[...equal, later].join(' AND ')})`;
      });
      return `(${branches.join(' OR ')})`;
    },
  };
}
