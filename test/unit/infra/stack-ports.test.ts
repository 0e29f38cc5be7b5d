import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { freePorts } from '../../../infra/local/ports.js';
import { choosePorts } from '../../../infra/local/stack-ports.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const folder = temporaryFolder();
const any = { api: 0, postgres: 0, s3: 0, temporal: 0, temporalUi: 0 };

async function occupy(): Promise<{ server: Server; port: number }> {
  const [port = 0] = await freePorts(1);
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return { server, port };
}

describe('the ports of a stack', () => {
  it('are different free ones, written down, and the same at the next start', async () => {
    const file = join(folder, 'stack.json');
    const ports = await choosePorts(any, file);
    expect(new Set(Object.values(ports)).size).toBe(5);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(ports);
    expect(await choosePorts(any, file)).toEqual(ports);
  });

  it('give way when another program took one meanwhile', async () => {
    const file = join(folder, 'taken.json');
    const { server, port } = await occupy();
    const former = { ...(await choosePorts(any, file)), s3: port };
    writeFileSync(file, JSON.stringify(former));
    const ports = await choosePorts(any, file);
    server.close();
    expect(ports.s3).not.toBe(port);
    expect({ ...ports, s3: port }).toEqual(former);
  });

  it.each([
    ['api', 'PORT'],
    ['postgres', 'POSTGRES_PORT'],
    ['s3', 'S3_PORT'],
    ['temporal', 'TEMPORAL_PORT'],
    ['temporalUi', 'TEMPORAL_UI_PORT'],
  ])('of %s: when it is set and taken, the message names it and %s', async (name, setting) => {
    const { server, port } = await occupy();
    const choice = choosePorts({ ...any, [name]: port }, join(folder, 'refused.json'));
    await expect(choice).rejects.toThrow(new RegExp(`Port ${port}.* taken.* ${setting}=${port + 1} npm start`));
    server.close();
  });
});
