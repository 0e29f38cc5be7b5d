import fc from 'fast-check';
import {
  fieldGroups,
  operators,
  runFields,
  type Field,
  type FieldGroup,
  type Filter,
  type FilterValue,
  type RunField,
} from '../../../../contracts/experiments/run-filter.js';
import { parseFilter, parseOrder } from '../../../../domain/experiments/filter-language.js';

/** Writes a filter so that `parseFilter` gives the same one back. */
function printFilter(filter: Filter): string {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return filter.operands.map(printOperand).join(` ${filter.kind} `);
    case 'not':
      return `not ${printOperand(filter.operand)}`;
    case 'compare':
      return `${printField(filter.field)} ${filter.operator} ${printValue(filter.value)}`;
    case 'in':
      return `${printField(filter.field)} in (${filter.values.map(printValue).join(', ')})`;
  }
}

function printOperand(filter: Filter): string {
  return filter.kind === 'and' || filter.kind === 'or' ? `(${printFilter(filter)})` : printFilter(filter);
}

function printField({ group, name }: Field): string {
  return group === 'run' ? name : `${group}.\`${name.replaceAll('`', '``')}\``;
}

function printValue(value: FilterValue): string {
  return typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value);
}

const numberFields: RunField[] = ['dataset_version', 'duration_seconds'];
const textFields: RunField[] = ['run_id', 'name', 'model_name', 'dataset', 'workflow_id', 'error_code'];
const anyText = fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0'));
const anyName = anyText.filter((text) => text.length > 0 && text.length <= 250);
const anyNumber = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);

const grouped = (group: FieldGroup): fc.Arbitrary<Field> => anyName.map((name) => ({ group, name }));
const ofRun = (names: RunField[]): fc.Arbitrary<Field> =>
  fc.constantFrom(...names).map((name) => ({ group: 'run', name }));
const numeric = fc.oneof(grouped('metrics'), grouped('params'), ofRun(numberFields));
const textual = fc.oneof(grouped('tags'), grouped('params'), ofRun(textFields));

const comparison: fc.Arbitrary<Filter> = fc.oneof(
  fc.record({
    kind: fc.constant('compare' as const),
    field: numeric,
    operator: fc.constantFrom(...operators),
    value: anyNumber,
  }),
  fc.record({
    kind: fc.constant('compare' as const),
    field: textual,
    operator: fc.constantFrom('=' as const, '!=' as const),
    value: anyText,
  }),
  fc.record({
    kind: fc.constant('in' as const),
    field: textual,
    values: fc.array(anyText, { minLength: 1, maxLength: 5 }),
  }),
);
const { filter: anyFilter } = fc.letrec<{ filter: Filter }>((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    comparison,
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      operands: fc.array(tie('filter'), { minLength: 2, maxLength: 4 }),
    }),
    fc.record({ kind: fc.constant('not' as const), operand: tie('filter') }),
  ),
}));

describe('the filter language', () => {
  it('reads every filter that it prints', () => {
    fc.assert(
      fc.property(anyFilter, (filter) => {
        const text = printFilter(filter);
        fc.pre(text.length <= 4_000);
        expect(parseFilter(text)).toEqual(filter);
      }),
      { numRuns: 500 },
    );
  });

  it('parses any text or reports a position in it', () => {
    const pieces = fc.constantFrom(
      ...['metrics.a', 'tags.`x y`', 'params.b', 'status', '=', '!=', '<', 'in', 'not', 'and', 'or', '(', ')', ','],
      ...["'x'", "'failed'", '0.9', '-1e3', 'true', "'", '`', '.', '\0', '§'],
    );
    const anything = fc.oneof(
      fc.string(),
      fc.array(pieces, { maxLength: 12 }).map((found) => found.join(' ')),
    );
    fc.assert(
      fc.property(anything, (text) => {
        try {
          expect(parseFilter(printFilter(parseFilter(text)))).toEqual(parseFilter(text));
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad_request' });
          const place = Number(/at character (\d+): /.exec(String(error))?.[1]);
          expect(place).toBeGreaterThanOrEqual(1);
          expect(place).toBeLessThanOrEqual(text.length + 1);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('binds `not` closer than `and`, and `and` closer than `or`', () => {
    const a: Filter = { kind: 'compare', field: { group: 'tags', name: 'a' }, operator: '=', value: 'x' };
    const b: Filter = { ...a, field: { group: 'tags', name: 'b' } };
    const c: Filter = { ...a, field: { group: 'tags', name: 'c' } };
    expect(parseFilter("NOT tags.a = 'x' AND tags.b = 'x' Or tags.c='x'")).toEqual({
      kind: 'or',
      operands: [{ kind: 'and', operands: [{ kind: 'not', operand: a }, b] }, c],
    });
    expect(parseFilter("not (tags.a = 'x' and (tags.b = 'x' or tags.c = 'x'))")).toEqual({
      kind: 'not',
      operand: { kind: 'and', operands: [a, { kind: 'or', operands: [b, c] }] },
    });
  });

  it('reads a complete example', () => {
    const text = `metrics.accuracy >= 0.9 and params.architecture = 'cnn' and tags.team != 'x''s'
      and status not in ('completed', 'failed') and started_at > '2026-01-01' and params.class_weights = true`;
    expect(printFilter(parseFilter(text))).toBe(
      "metrics.`accuracy` >= 0.9 and params.`architecture` = 'cnn' and tags.`team` != 'x''s' and not status in ('completed', 'failed') and started_at > '2026-01-01T00:00:00.000Z' and params.`class_weights` = true",
    );
  });

  it.each([
    ['', 1, 'expected a field such as metrics.accuracy'],
    ['metrics.accuracy >= ', 21, 'expected a value after >='],
    ['metrics.accuracy >= and', 21, 'expected a value after >=, found and'],
    ['metrics.accuracy', 17, 'expected one of = != < <= > >='],
    ["metrics.accuracy = '0.9'", 20, 'this field is a number'],
    ['tags.team = 3', 13, 'this field is text'],
    ["tags.team < 'b'", 13, 'only numbers and times are compared with <'],
    ["status = 'done'", 10, 'status is one of running, completed, failed, cancelled'],
    ["started_at > 'yesterday'", 14, 'write a time as'],
    ["started_at > '2026-02-31'", 14, 'write a time as'],
    ["started_at > '2026-01-01T25:00'", 14, 'write a time as'],
    ['colour = 1', 1, 'there is no field colour'],
    ['metric.accuracy = 1', 1, 'there is no group metric'],
    ['__proto__ = 1', 1, 'there is no field __proto__'],
    ["tags.a = 'x", 10, "no closing '"],
    ["tags.a in ('x'", 15, 'expected )'],
    ['tags.a in ()', 12, 'expected a value after (, found )'],
    ["(tags.a = 'x'", 14, 'expected )'],
    ["tags.a = 'x' tags.b = 'y'", 14, 'expected `and`, `or` or the end, found tags.b'],
    ["tags.a not = 'x'", 12, 'expected `in` after `not`'],
    ['metrics.a = 1e999', 13, 'unexpected 1e999'],
    ["name = 'a' ; drop table runs", 12, 'unexpected ; drop'],
    ["name = 'a\0'", 10, 'null characters'],
  ])('says where %j goes wrong', (text, place, what) => {
    expect(() => parseFilter(text)).toThrow(`at character ${place}: `);
    expect(() => parseFilter(text)).toThrow(what);
  });

  it('has limits', () => {
    expect(() => parseFilter(`${'('.repeat(40)}metrics.a = 1${')'.repeat(40)}`)).toThrow('nested deeper than 32');
    expect(() => parseFilter(`${'not '.repeat(900)}metrics.a = 1`)).toThrow('nested deeper than 32');
    expect(() => parseFilter('a'.repeat(4_001))).toThrow('longer than 4000 characters');
    const many = Array.from({ length: 101 }, () => 'metrics.a=1').join(' or ');
    expect(() => parseFilter(many)).toThrow('more than 100 comparisons');
    const values = Array.from({ length: 201 }, () => '1').join(',');
    expect(() => parseFilter(`metrics.a in (${values})`)).toThrow('at most 200 values');
    expect(() => parseFilter(`tags.${'a'.repeat(251)} = 'x'`)).toThrow('at most 250 characters');
  });

  it('accepts a field of every type', () => {
    for (const [name, type] of Object.entries({ ...runFields, ...fieldGroups })) {
      const field = name in fieldGroups ? `${name}.x` : name;
      const value = { number: '1', any: 'true', time: "'2026-01-31 10:00'", text: "'x'" }[type];
      const known = name === 'status' ? "'failed'" : name === 'kind' ? "'trial'" : value;
      expect(parseFilter(`${field} = ${known}`)).toMatchObject({ kind: 'compare' });
    }
  });
});

describe('a time', () => {
  it.each([
    ['2026-01-31', '2026-01-31T00:00:00.000Z'],
    ['2026-01-31 10:00', '2026-01-31T10:00:00.000Z'],
    ['2026-01-31T10:00:00.25+05:30', '2026-01-31T04:30:00.250Z'],
    ['2024-02-29T23:59:59Z', '2024-02-29T23:59:59.000Z'],
  ])('%s is the moment %s', (text, value) => {
    expect(parseFilter(`ended_at <= '${text}'`)).toMatchObject({ value });
  });
});

describe('an order', () => {
  it('names fields with a direction', () => {
    expect(parseOrder('metrics.accuracy desc, started_at, tags.`a b` ASC')).toEqual([
      { field: { group: 'metrics', name: 'accuracy' }, descending: true },
      { field: { group: 'run', name: 'started_at' }, descending: false },
      { field: { group: 'tags', name: 'a b' }, descending: false },
    ]);
  });

  it.each([
    ['', 1, 'expected a field'],
    ['name,', 6, 'expected a field'],
    ['name up', 6, 'expected `asc`, `desc`'],
    ['name, name, name, name', 19, 'at most 3 fields'],
  ])('says where %j goes wrong', (text, place, what) => {
    expect(() => parseOrder(text)).toThrow(`at character ${place}: `);
    expect(() => parseOrder(text)).toThrow(what);
  });
});
