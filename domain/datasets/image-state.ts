interface Known {
  label: string | null;
  holders: readonly unknown[];
  corrections: readonly { action: string }[];
}

/** Where an image of a dataset is: in the current version, under two labels, taken out, or in no source. */
export function imageState({ label, holders, corrections }: Known): 'included' | 'conflict' | 'removed' | 'absent' {
  if (label !== null) return 'included';
  if (corrections[0]?.action === 'remove') return 'removed';
  return holders.length > 0 ? 'conflict' : 'absent';
}
