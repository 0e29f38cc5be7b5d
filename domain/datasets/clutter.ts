import type { SkippedKind } from '../../contracts/datasets/datasets.js';

/** Names, in lower case, of what file systems and programs leave between the images. */
const names: readonly (readonly [SkippedKind, readonly string[]])[] = [
  ['thumbnails', ['@eadir', '.@__thumb', '.thumbnails', '.thumb', 'thumbs.db', 'ehthumbs.db', '.picasaoriginals']],
  ['trash', ['#recycle', '@recycle', '.recycle', '$recycle.bin', 'recycler', 'recycled', '.trashes', '.trash']],
  ['snapshots', ['#snapshot', '@recently-snapshot', '.snapshot', '.snapshots', '.zfs', '.ckpt']],
  ['resource_forks', ['__macosx', '.appledouble', '.resource']],
  [
    'system',
    ['lost+found', 'system volume information', 'desktop.ini', '.ds_store', 'icon\r', '@syno', '@tmp', '#tmp'],
  ],
  ['system', ['.fseventsd', '.spotlight-v100', '.temporaryitems', '.documentrevisions-v100', '.apdisk', '.directory']],
  ['checkpoints', ['.ipynb_checkpoints', '__pycache__']],
];

const kindOfName = new Map(names.flatMap(([kind, list]) => list.map((name) => [name, kind] as const)));

const patterns: readonly (readonly [SkippedKind, RegExp])[] = [
  ['trash', /^\.trash-/],
  ['resource_forks', /^\._/],
  ['system', /^\.(?:fuse_hidden|nfs[0-9a-f]{16})/],
  ['temporary', /~$|^~\$|\.(?:tmp|temp|part|partial|crdownload|swp)$/],
  ['hidden', /^\./],
];

/** The kind of a file or folder that no person put there as an image; null for any other name. */
export function clutterKind(name: string): SkippedKind | null {
  const lower = name.toLowerCase();
  return kindOfName.get(lower) ?? patterns.find(([, pattern]) => pattern.test(lower))?.[0] ?? null;
}
