import { BlockList, isIP } from 'node:net';
import { PerennialError } from '../../../contracts/errors.js';

/** Networks outside the public internet: fetching from them would bypass the firewall (SSRF). */
const innerNetworks = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  innerNetworks.addSubnet(network, prefix, 'ipv4');
}
for (const [network, prefix] of [
  // Also the other IPv6 forms that contain or lead to an IPv4 address.
  ['::', 96],
  ['::ffff:0:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['2001::', 32],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const) {
  innerNetworks.addSubnet(network, prefix, 'ipv6');
}

/** Whether an IP address is local or private, including IPv4 addresses in IPv6 form. */
export function isInnerAddress(address: string): boolean {
  return innerNetworks.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/**
 * Parses the URL of an image: http or https, without a password, with a host of the list (`host` for the default port, or
 * `host:port`).
 * @throws PerennialError url_not_allowed
 */
export function allowedUrl(text: string, hosts: readonly string[]): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw refused('The URL of an image must begin with http:// or https://. Send such a URL, or the image itself.');
  }
  if (url.username !== '' || url.password !== '') {
    throw refused('The URL contains a user name or password. Send the image itself instead.');
  }
  if (!hosts.some((host) => host.toLowerCase() === url.host)) {
    const allowed = hosts.length === 0 ? 'it names none' : `it names ${hosts.join(', ')}`;
    throw refused(
      `Images are fetched only from the hosts in IMAGE_URL_HOSTS, and ${allowed}; the URL asks for ${url.host}. Have it added there, or send the image itself.`,
    );
  }
  return url;
}

/**
 * Whether a host of the list may lead to a private network: only if the list has it as a private IP address or as
 * `localhost`. Other names may not, whatever they resolve to.
 */
export function mayBeInner({ hostname }: URL): boolean {
  return hostname === 'localhost' || isIP(hostname.replaceAll(/[[\]]/g, '')) !== 0;
}

/** The error for an image URL that is not allowed. */
export function refused(message: string): PerennialError {
  return new PerennialError('url_not_allowed', message);
}
