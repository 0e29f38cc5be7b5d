import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';

export interface Target {
  port: number;
  /** Address the abusers connect from; undefined where the system has only one loopback address. */
  localAddress: string | undefined;
}

type Abuser = (target: Target) => Promise<void>;

export const abuseKinds = [
  'bodies in chunks of one byte',
  'declared bodies that never come',
  'gzip of empty lists',
  'interlaced PNGs of 16 bit',
  'slow forms',
  'uploads held open',
] as const;
export type AbuseKind = (typeof abuseKinds)[number];

/** A client that misuses the API until its process ends. Each kind prepares its bytes once, for all its clients. */
export const abuses: Record<AbuseKind, () => Promise<Abuser>> = {
  'bodies in chunks of one byte': () => Promise.resolve(sendTinyChunks),
  'declared bodies that never come': () => Promise.resolve(holdDeclaredBody),
  'gzip of empty lists': async () => repeat(await emptyLists()),
  'interlaced PNGs of 16 bit': async () => repeat(await interlacedPicture()),
  'slow forms': () => Promise.resolve(sendSlowForm),
  'uploads held open': () => Promise.resolve(holdUpload),
};

const chunksPerWrite = 10_000;
const heldBytes = 64_000_000;
const uploadBytes = 100_000_000;
const listCount = 5_000_000;
const pictureSide = 7_000;

async function sendTinyChunks(target: Target): Promise<void> {
  const block = Buffer.from('1\r\nx\r\n'.repeat(chunksPerWrite));
  await overConnections(target, async (socket) => {
    socket.write(head('/predict', { 'Content-Type': 'image/jpeg', 'Transfer-Encoding': 'chunked' }));
    while (!socket.destroyed) await write(socket, block);
  });
}

async function holdDeclaredBody(target: Target): Promise<void> {
  await overConnections(target, async (socket) => {
    const type = 'multipart/form-data; boundary=b';
    socket.write(head('/predict/batch', { 'Content-Type': type, 'Content-Length': String(heldBytes) }));
    await trickle(socket, Buffer.alloc(20_000), 5_000);
  });
}

async function sendSlowForm(target: Target): Promise<void> {
  await overConnections(target, async (socket) => {
    socket.write(uploadHead('slow', heldBytes));
    await trickle(socket, Buffer.alloc(500), 500);
  });
}

async function holdUpload(target: Target): Promise<void> {
  await overConnections(target, async (socket) => {
    socket.write(uploadHead('held', 2 * uploadBytes));
    const block = Buffer.alloc(1_000_000);
    for (let sent = 0; sent < uploadBytes && !socket.destroyed; sent += block.length) await write(socket, block);
    if (!socket.destroyed) await once(socket, 'close');
  });
}

interface Call {
  path: string;
  headers: Record<string, string>;
  body: Buffer;
}

function emptyLists(): Promise<Call> {
  const body = gzipSync(`{"inputs":[${'[],'.repeat(listCount)}[]]}`);
  const headers = { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' };
  return Promise.resolve({ path: '/invocations', headers, body });
}

async function interlacedPicture(): Promise<Call> {
  const size = { width: pictureSide, height: pictureSide };
  const body = await sharp({ create: { ...size, channels: 4, background: { r: 9, g: 99, b: 9, alpha: 0.5 } } })
    .toColourspace('rgb16')
    .png({ progressive: true, compressionLevel: 9 })
    .toBuffer();
  return { path: '/predict', headers: { 'Content-Type': 'image/png' }, body };
}

/** Sends the same request again and again, each after the answer to the one before. */
function repeat(call: Call): Abuser {
  return async (target) => {
    for (;;) await send(target, call).catch(() => sleep(50));
  };
}

async function send({ port, localAddress }: Target, { path, headers, body }: Call): Promise<void> {
  const length = { 'Content-Length': String(body.length) };
  const sent = httpRequest({
    host: '127.0.0.1',
    port,
    path,
    method: 'POST',
    headers: { ...headers, ...length },
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  const answered = new Promise<void>((resolve, reject) => {
    sent.once('response', (response) => void response.resume().once('close', resolve)).once('error', reject);
  });
  sent.end(body);
  await answered;
}

/** Opens a connection for `use`, and the next one when it is closed. */
async function overConnections(target: Target, use: (socket: Socket) => Promise<void>): Promise<void> {
  const { port, localAddress } = target;
  for (;;) {
    const address = localAddress === undefined ? {} : { localAddress };
    const socket = connect({ port, host: '127.0.0.1', ...address });
    // A refused abuser starts again; what it is told does not matter to it.
    socket.on('error', () => undefined).resume();
    await use(socket).catch(() => undefined);
    socket.destroy();
    await sleep(50);
  }
}

/** Resolves when the bytes are handed over, or the connection is closed. */
function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => void socket.write(bytes, () => resolve()));
}

async function trickle(socket: Socket, bytes: Buffer, everyMs: number): Promise<void> {
  while (!socket.destroyed) {
    socket.write(bytes);
    await sleep(everyMs);
  }
}

function head(path: string, headers: Record<string, string>): string {
  const lines = Object.entries({ Host: '127.0.0.1', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

function uploadHead(dataset: string, lengthBytes: number): string {
  const part = (disposition: string): string => `--b\r\nContent-Disposition: form-data; ${disposition}\r\n`;
  const start = head(`/api/v1/datasets/${dataset}/images`, {
    'Content-Type': 'multipart/form-data; boundary=b',
    'Content-Length': String(lengthBytes),
  });
  const label = `${part('name="label"')}\r\ngrass\r\n`;
  return `${start}${label}${part('name="files"; filename="a.jpg"')}Content-Type: image/jpeg\r\n\r\n`;
}
