import { snakeCase } from '../contracts/http/spelling.js';

const camel = /^[a-z][a-z0-9]*(?:[A-Z][a-z0-9]*)+$/;

/** Members that hold maps: the keys in them, such as class labels, are data and keep their spelling. */
const maps: ReadonlySet<string> = new Set([
  'classes',
  'classShares',
  'conflicts',
  'labels',
  'predicted',
  'probabilities',
  'removed',
  'reportedMetrics',
  'sides',
  'tags',
]);

/** A stored document, whatever release wrote it, with the names of its members in snake_case. */
export function snakeKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [snakeName(name), maps.has(name) ? member : snakeKeys(member)]),
  );
}

/** Names that are not identifiers stay unchanged. */
function snakeName(name: string): string {
  return camel.test(name) ? snakeCase(name) : name;
}
