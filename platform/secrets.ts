/** What stands in place of a secret. */
const mask = '***';

/** Shorter values are words of the language more often than secrets; addresses hide them all the same. */
const shortestSecret = 8;

/** A part of a webhook's path as long as this is a token. */
const shortestToken = 16;

/** Settings whose value is a secret as a whole, and settings whose value is an address that may contain some. */
const secretSettings = [
  'NOTIFY_WEBHOOK_SECRET',
  'S3_SECRET_ACCESS_KEY',
  'INGEST_S3_SECRET_ACCESS_KEY',
  'TEMPORAL_API_KEY',
] as const;
const addressSettings = [
  'DATABASE_URL',
  'S3_ENDPOINT',
  'INGEST_S3_ENDPOINT',
  'TEMPORAL_ADDRESS',
  'TEMPORAL_UI_URL',
  'PUBLIC_DATASET_URL',
  'REPLICA_URL',
  'PUBLIC_URL',
  'SMTP_URL',
] as const;
/** The path of such an address is a secret: it is all that a sender needs. */
const webhookSettings = ['NOTIFY_WEBHOOK_URL', 'NOTIFY_SLACK_WEBHOOK_URL'] as const;

/** An address without user name, password, query and fragment; one that is not a URL is not shown. */
export function addressWithoutSecrets(address: string): string {
  if (!URL.canParse(address)) return mask;
  const url = new URL(address);
  if (url.username === '' && url.password === '' && url.search === '' && url.hash === '') return address;
  url.username = '';
  url.password = '';
  url.search = '';
  url.hash = '';
  return url.href;
}

/**
 * An address without its user name and password, and the header that sends them: `fetch` refuses a URL that has some, and
 * repeats it in its message.
 */
export function withoutCredentials(address: string | URL): { url: URL; headers: Record<string, string> } {
  const url = new URL(address);
  const { username, password } = url;
  if (username === '' && password === '') return { url, headers: {} };
  url.username = '';
  url.password = '';
  const credentials = Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64');
  return { url, headers: { Authorization: `Basic ${credentials}` } };
}

/** The secrets in an address: user name and password, and for HTTP the query. */
function secretsOfAddress(address: string): string[] {
  if (!URL.canParse(address)) return [];
  const { username, password, search, searchParams, protocol } = new URL(address);
  const isWeb = /^https?:$/.test(protocol);
  const query = isWeb && search !== '' ? [search.slice(1), ...searchParams.values()] : [];
  // A user name is a secret only where it is the key of a service, as in https://<key>@host.
  const user = isWeb || password === '' ? [username] : [];
  const basic = isWeb ? [Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')] : [];
  const secrets = [password, ...user, ...basic, ...query];
  // `postgres:postgres@` hides nothing, and the name is a common word of the logs.
  return isWeb ? secrets : secrets.filter((secret) => secret !== username || password === '');
}

function tokensOfPath(address: string): string[] {
  if (!URL.canParse(address)) return [];
  return new URL(address).pathname.split('/').filter((part) => part.length >= shortestToken);
}

const hidden = new Set<string>();

/** Hides the secrets of the settings from all text that passes `withoutSecrets` in this process. */
export function hideSecretsOf(settings: Readonly<Record<string, unknown>>): void {
  const textOf = (name: string): string[] => {
    const value = settings[name];
    return typeof value === 'string' ? [value] : [];
  };
  const webhooks = webhookSettings.flatMap(textOf);
  const addresses = [...addressSettings.flatMap(textOf), ...webhooks];
  hide([...secretSettings.flatMap(textOf), ...addresses.flatMap(secretsOfAddress), ...webhooks.flatMap(tokensOfPath)]);
}

function hide(secrets: readonly string[]): void {
  for (const secret of secrets) {
    // Also as it stands in a URL, decoded, and within JSON.
    for (const form of [secret, decoded(secret), encodeURIComponent(decoded(secret))]) {
      if (form.length < shortestSecret) continue;
      hidden.add(form);
      hidden.add(JSON.stringify(form).slice(1, -1));
    }
  }
}

/** A text in which each secret of the settings is replaced. */
export function withoutSecrets(text: string): string {
  let safe = text;
  for (const secret of hidden) if (safe.includes(secret)) safe = safe.replaceAll(secret, mask);
  return safe;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
