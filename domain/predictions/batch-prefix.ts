/** Folders of our own record in the bucket: what lies there is reached through the routes that look after it. */
const ownFolders = [
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

/** Why pictures below a prefix of the bucket are not predicted; null when they are. */
export function refusalOfPrefix(prefix: string): string | null {
  if (prefix.startsWith('/') || prefix.includes('\\')) return 'Keys begin without a slash and hold no backslash.';
  if (prefix.split('/').some((part) => part === '.' || part === '..')) return 'It holds . or .. as a folder.';
  const own = ownFolders.find((folder) => folder.startsWith(prefix) || prefix.startsWith(folder));
  if (own === undefined) return null;
  return `It reaches into ${own}, which Perennial keeps for itself. Put the pictures below a prefix of their own.`;
}
