/**
 * The known name that is closest to `name`, ignoring case: one that has it as a word (`name` in `model_name`), then by
 * edits of one letter. Undefined without known names.
 */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const written = name.slice(0, 100).toLowerCase();
  const ranked = known.map((each) => ({ each, edits: distance(written, each.toLowerCase()) }));
  return ranked.sort((one, other) => one.edits - other.edits)[0]?.each;
}

function distance(written: string, known: string): number {
  const edits = editsBetween(written, known);
  return known.split('_').includes(written) ? Math.min(edits, 1) : edits;
}

/** The Levenshtein distance. */
function editsBetween(one: string, other: string): number {
  let above = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let row = 1; row <= one.length; row++) {
    const line = [row];
    for (let column = 1; column <= other.length; column++) {
      const replaced = (above[column - 1] ?? 0) + (one[row - 1] === other[column - 1] ? 0 : 1);
      line.push(Math.min(replaced, (above[column] ?? 0) + 1, (line[column - 1] ?? 0) + 1));
    }
    above = line;
  }
  return above[other.length] ?? 0;
}
