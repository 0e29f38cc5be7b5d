import {
  operators,
  type Field,
  type Filter,
  type FilterValue,
  type SortKey,
} from '../../contracts/experiments/run-filter.js';
import { findField, isTimeField, momentOf, refuseValue } from './filter-fields.js';
import { filterError, tokenize, type Token } from './filter-tokens.js';

const maxDepth = 32;
const maxComparisons = 100;
const maxListed = 200;
const maxSortKeys = 3;

/**
 * Reads a filter such as `metrics.accuracy >= 0.9 and tags.team != 'x'`. docs/experiments.md has the grammar. Throws
 * `bad_request` with the position of the first error.
 */
export function parseFilter(text: string): Filter {
  const cursor = createCursor(text);
  const filter = parseOr(cursor, 0);
  cursor.expectEnd('expected `and`, `or` or the end');
  return filter;
}

/** Reads an order such as `metrics.accuracy desc, started_at`. Throws `bad_request` with the position of the first error. */
export function parseOrder(text: string): SortKey[] {
  const cursor = createCursor(text);
  const keys: SortKey[] = [];
  do {
    if (keys.length === maxSortKeys) throw filterError(cursor.peek().at, `there are at most ${maxSortKeys} fields`);
    const field = parseField(cursor);
    const descending = cursor.takeWord('desc');
    if (!descending) cursor.takeWord('asc');
    keys.push({ field, descending });
  } while (cursor.takeSymbol(','));
  cursor.expectEnd('expected `asc`, `desc`, a comma or the end');
  return keys;
}

/** Reads the tokens of a text, one after another. */
interface Cursor {
  peek(): Token;
  next(): Token;
  takeWord(word: string): boolean;
  takeSymbol(symbol: string): boolean;
  expectEnd(what: string): void;
  /** Counts a comparison; throws when there are too many. */
  count(at: number): void;
}

function createCursor(text: string): Cursor {
  const tokens = tokenize(text);
  const end: Token = { kind: 'end', text: '', at: text.length + 1 };
  let index = 0;
  let comparisons = 0;
  const peek = (): Token => tokens[index] ?? end;
  const takeIf = (holds: boolean): boolean => {
    if (holds) index += 1;
    return holds;
  };
  return {
    peek,
    next() {
      const token = peek();
      index += 1;
      return token;
    },
    takeWord: (word) => takeIf(peek().kind === 'word' && peek().text.toLowerCase() === word),
    takeSymbol: (symbol) => takeIf(peek().kind === 'symbol' && peek().text === symbol),
    expectEnd(what) {
      if (peek().kind !== 'end') throw filterError(peek().at, `${what}, found ${peek().text}`);
    },
    count(at) {
      comparisons += 1;
      if (comparisons > maxComparisons) throw filterError(at, `there are more than ${maxComparisons} comparisons`);
    },
  };
}

function parseOr(cursor: Cursor, depth: number): Filter {
  return parseChain(cursor, 'or', () => parseChain(cursor, 'and', () => parseNot(cursor, depth)));
}

function parseChain(cursor: Cursor, kind: 'and' | 'or', parseOperand: () => Filter): Filter {
  const first = parseOperand();
  const operands = [first];
  while (cursor.takeWord(kind)) operands.push(parseOperand());
  return operands.length === 1 ? first : { kind, operands };
}

function parseNot(cursor: Cursor, depth: number): Filter {
  if (depth > maxDepth) throw filterError(cursor.peek().at, `it is nested deeper than ${maxDepth} levels`);
  if (cursor.takeWord('not')) return { kind: 'not', operand: parseNot(cursor, depth + 1) };
  if (!cursor.takeSymbol('(')) return parseComparison(cursor);
  const inner = parseOr(cursor, depth + 1);
  expectSymbol(cursor, ')');
  return inner;
}

function parseComparison(cursor: Cursor): Filter {
  cursor.count(cursor.peek().at);
  const field = parseField(cursor);
  const isNegated = cursor.takeWord('not');
  if (cursor.takeWord('in')) {
    const list: Filter = { kind: 'in', field, values: parseList(cursor, field) };
    return isNegated ? { kind: 'not', operand: list } : list;
  }
  const { text, at } = cursor.next();
  const operator = operators.find((known) => known === text);
  if (isNegated) throw filterError(at, 'expected `in` after `not`');
  if (operator === undefined) {
    throw filterError(at, `expected one of ${operators.join(' ')}, \`in\` or \`not in\` after the field`);
  }
  const token = cursor.peek();
  const value = parseValue(cursor, field, operator);
  if (typeof value !== 'number' && operator !== '=' && operator !== '!=' && !isTimeField(field)) {
    throw filterError(token.at, `only numbers and times are compared with ${operator}`);
  }
  return { kind: 'compare', field, operator, value };
}

function parseField(cursor: Cursor): Field {
  const token = cursor.next();
  if (token.kind !== 'field') {
    throw filterError(token.at, `expected a field such as metrics.accuracy${foundOf(token)}`);
  }
  const field = findField(token.group, token.name);
  if (typeof field === 'string') throw filterError(token.at, field);
  return field;
}

function parseList(cursor: Cursor, field: Field): FilterValue[] {
  expectSymbol(cursor, '(');
  const values: FilterValue[] = [];
  do {
    if (values.length === maxListed) throw filterError(cursor.peek().at, `a list has at most ${maxListed} values`);
    values.push(parseValue(cursor, field, values.length === 0 ? '(' : ','));
  } while (cursor.takeSymbol(','));
  expectSymbol(cursor, ')');
  return values;
}

function parseValue(cursor: Cursor, field: Field, after: string): FilterValue {
  const token = cursor.next();
  if (token.kind !== 'value') throw filterError(token.at, `expected a value after ${after}${foundOf(token)}`);
  const refusal = refuseValue(field, token.value);
  if (refusal !== null) throw filterError(token.at, refusal);
  return typeof token.value === 'string' && isTimeField(field) ? momentOf(token.value) : token.value;
}

function expectSymbol(cursor: Cursor, symbol: string): void {
  if (!cursor.takeSymbol(symbol)) throw filterError(cursor.peek().at, `expected ${symbol}${foundOf(cursor.peek())}`);
}

function foundOf({ text }: Token): string {
  return text === '' ? '' : `, found ${text}`;
}
