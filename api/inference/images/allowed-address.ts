import { BlockList, isIP } from 'node:net';
import { PerennialError } from '../../../contracts/errors.js';

/** Networks that are not the public internet: a picture there would be a look behind the firewall. */
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
  // With it every other way in which IPv6 writes down an IPv4 address, or leads to one.
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

/** Whether an IP address is of this machine or an inner network, also when IPv6 wraps an IPv4 address. */
export function isInnerAddress(address: string): boolean {
  return innerNetworks.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/**
 * The URL of a picture, if it may be fetched: http or https, without a password, and a host of the list, which names
 * `host` for the usual port or `host:port`.
 * @throws PerennialError url_not_allowed
 */
export function allowedUrl(text: string, hosts: readonly string[]): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw refused('The URL of an image begins with http:// or https://. Send such an address, or the image itself.');
  }
  if (url.username !== '' || url.password !== '') {
    throw refused('The URL holds a user name or password. Send the image itself instead.');
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
 * Whether a host of the list is named such that it may lead into an inner network: literally as an address of it, or
 * as `localhost`. Any other name may not, whatever it resolves to.
 */
export function mayBeInner({ hostname }: URL): boolean {
  return hostname === 'localhost' || isIP(hostname.replaceAll(/[[\]]/g, '')) !== 0;
}

/** What a picture's URL gets that leads where none may be fetched from. */
export function refused(message: string): PerennialError {
  return new PerennialError('url_not_allowed', message);
}
