/** Folders of the bucket that Perennial manages; their objects are served by their own routes. */
const reservedFolders = [
  'backups/',
  'checkpoints/',
  'features/',
  'models/',
  'predictions/',
  'processed/',
  'raw/',
  'runs/',
  'searches/',
  'test/',
  'train/',
  'uploads/',
  'validation/',
];

/** Returns why images below a prefix of the bucket cannot be predicted; null when they can. */
export function refusalOfPrefix(prefix: string): string | null {
  if (prefix.startsWith('/') || prefix.includes('\\'))
    return 'A prefix does not begin with a slash and contains no backslash.';
  if (prefix.split('/').some((part) => part === '.' || part === '..'))
    return 'A prefix does not contain . or .. as a folder.';
  const reserved = reservedFolders.find((folder) => folder.startsWith(prefix) || prefix.startsWith(folder));
  if (reserved === undefined) return null;
  return `The prefix overlaps ${reserved}, which is reserved for Perennial. Put the images below another prefix.`;
}
