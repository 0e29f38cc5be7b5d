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
  it('are different free ports, are written to the file, and are reused at the next start', async () => {
    const file = join(folder, 'stack.json');
    const ports = await choosePorts(any, file);
    expect(new Set(Object.values(ports)).size).toBe(5);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(ports);
    expect(await choosePorts(any, file)).toEqual(ports);
  });

  it('are replaced when another program has taken one meanwhile', async () => {
    const file = join(folder, 'taken.json');
    const { server, port } = await occupy();
    const previous = { ...(await choosePorts(any, file)), s3: port };
    writeFileSync(file, JSON.stringify(previous));
    const ports = await choosePorts(any, file);
    server.close();
    expect(ports.s3).not.toBe(port);
    expect({ ...ports, s3: port }).toEqual(previous);
  });

  it.each([
    ['api', 'PORT'],
    ['postgres', 'POSTGRES_PORT'],
    ['s3', 'S3_PORT'],
    ['temporal', 'TEMPORAL_PORT'],
    ['temporalUi', 'TEMPORAL_UI_PORT'],
  ])('of %s: a configured port that is taken is refused with the port and %s', async (name, setting) => {
    const { server, port } = await occupy();
    const choice = choosePorts({ ...any, [name]: port }, join(folder, 'refused.json'));
    await expect(choice).rejects.toThrow(new RegExp(`Port ${port}.* taken.* ${setting}=${port + 1} npm start`));
    server.close();
  });
});
