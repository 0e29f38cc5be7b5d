import { isIPv4 } from 'node:net';

/**
 * The name in a Host header or an authority (`name:port`), as URLs spell it: lower-case, without the port and the dot at
 * the end; IPv6 stays in brackets. Null when it is malformed.
 */
export function hostNameOf(authority: string): string | null {
  if (!/^(\[[0-9a-f:.]+\]|[^\s:/?#@[\]\\%]+)(:\d*)?$/i.test(authority)) return null;
  try {
    return new URL(`http://${authority}`).hostname.replace(/(?<=.)\.$/, '');
  } catch {
    return null;
  }
}

/** Whether a name always means this machine, so that no foreign name server can redirect it. */
function isLoopback(name: string): boolean {
  if (name === 'localhost' || name.endsWith('.localhost') || name === '[::1]') return true;
  return isIPv4(name) && name.startsWith('127.');
}

/**
 * Normalises an entry of ALLOWED_HOSTS: a name or an address, `*.example.org` for all names below example.org, or `*` for
 * any. Null when it is none of these, for instance because it has a port.
 */
export function hostPattern(entry: string): string | null {
  if (entry === '*') return entry;
  const isBareIpv6 = (entry.match(/:/g)?.length ?? 0) > 1 && !entry.startsWith('[');
  if (!isBareIpv6 && /:\d*$/.test(entry.replace(/\[.*\]/, ''))) return null;
  const [wildcard, name] = entry.startsWith('*.') ? ['*.', entry.slice(2)] : ['', isBareIpv6 ? `[${entry}]` : entry];
  const normal = name.includes('*') ? null : hostNameOf(name);
  return normal === null ? null : wildcard + normal;
}

/**
 * Decides under which host names a server answers: loopback and `patterns` of `hostPattern`. A page that rebinds its own
 * name to this machine's address comes with that name, so this keeps it out. Ports are ignored: they are no part of that
 * attack, and a proxy changes them.
 */
export function createHostCheck(patterns: readonly string[]): (name: string) => boolean {
  const exact = new Set(patterns);
  const suffixes = patterns.filter((each) => each.startsWith('*.')).map((each) => each.slice(1));
  return (name) =>
    isLoopback(name) || exact.has('*') || exact.has(name) || suffixes.some((suffix) => name.endsWith(suffix));
}
