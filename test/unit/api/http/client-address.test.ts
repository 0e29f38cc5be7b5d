import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { clientOf } from '../../../../api/http/client-address.js';

function requestFrom(remoteAddress: string | undefined): IncomingMessage {
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: remoteAddress });
  return new IncomingMessage(socket);
}

it.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8:1:2::9', '2001:db8:1:2'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['::1', '0:0:0:0'],
  [undefined, 'unknown'],
])('takes a request from %s as one of %s', (address, client) => {
  expect(clientOf(requestFrom(address))).toBe(client);
});
