const camel = /^[a-z][a-z0-9]*(?:[A-Z][a-z0-9]*)+$/;

/** A value with the names of its members in snake case, as everything is that leaves the product. */
export function snakeKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [snakeName(name), snakeKeys(member)]));
}

/** Names that are no identifiers, such as those of classes, stay as they are. */
function snakeName(name: string): string {
  return camel.test(name) ? name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) : name;
}
