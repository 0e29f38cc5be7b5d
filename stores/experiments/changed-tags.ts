/** A change of tags: null removes a tag, an omitted tag stays. */
export type TagChanges = Readonly<Record<string, string | null>>;

/** Tags after a change. */
export function changedTags(tags: Readonly<Record<string, string>>, changes: TagChanges): Record<string, string> {
  const merged = Object.entries({ ...tags, ...changes });
  return Object.fromEntries(merged.flatMap(([key, value]) => (value === null ? [] : [[key, value]])));
}
