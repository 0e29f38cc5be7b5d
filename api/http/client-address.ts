import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';

/** Who a request is from, for fair shares: its address; for IPv6 the /64 network, because one client has all of it. */
export function clientOf(request: IncomingMessage): string {
  const address = request.socket.remoteAddress ?? 'unknown';
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  return mapped ?? (isIPv6(address) ? networkOf(address) : address);
}

function networkOf(address: string): string {
  const [before = '', after = ''] = address.split('::');
  const groups = [before, after].map((part) => part.split(':').filter((group) => group !== ''));
  const zeros = Array.from({ length: Math.max(0, 8 - groups.flat().length) }, () => '0');
  return [...(groups[0] ?? []), ...zeros, ...(groups[1] ?? [])].slice(0, 4).join(':');
}
