/** A change of tags: what is null is removed, what is not named stays. */
export type TagChanges = Readonly<Record<string, string | null>>;

/** Tags after a change. */
export function changedTags(tags: Readonly<Record<string, string>>, changes: TagChanges): Record<string, string> {
  const merged = Object.entries({ ...tags, ...changes });
  return Object.fromEntries(merged.flatMap(([key, value]) => (value === null ? [] : [[key, value]])));
}
