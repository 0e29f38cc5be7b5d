import { once } from 'node:events';
import { createServer } from 'node:http';
import { z } from 'zod';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { redImage, serves, startApi, type ServedApi } from './served-api.js';
import { startObjectStore, startPostgres } from './services.js';

type Body = NonNullable<NonNullable<Parameters<typeof fetch>[1]>['body']>;

/** An API that serves a tiny model, caches predictions, and may fetch images from a server in this process. */
export interface PredictionFixture {
  served: ServedApi;
  version: ModelVersion;
  /** A red image, which the tiny model classifies as a dandelion. */
  red: Buffer;
  /** Serves `/red.png`, and `/text.png`, which is not an image. */
  imagesHost: string;
  send(path: string, body: Body, headers?: Record<string, string>): Promise<Response>;
  sendJson(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
  /** The current value of a metric series. */
  metric(series: string): Promise<number>;
  stop(): Promise<void>;
}

export const jsonHeaders = { 'content-type': 'application/json' };

export async function startPredictionFixture(): Promise<PredictionFixture> {
  const red = await redImage();
  const images = await serveImages(red);
  const services = await Promise.all([startPostgres(), startObjectStore()]);
  const environment = Object.fromEntries(services.flatMap((service) => Object.entries(service.environment)));
  const served = await startApi({ ...environment, IMAGE_URL_HOSTS: images.host, PREDICTION_CACHE_ITEMS: '100' });
  const version = await served.registerTiny();
  await served.promote(version);
  await serves(served, version);
  const send: PredictionFixture['send'] = (path, body, headers = {}) =>
    fetch(served.url + path, { method: 'POST', headers, body });
  return {
    served,
    version,
    red,
    imagesHost: images.host,
    send,
    sendJson: (path, body, headers = {}) => send(path, JSON.stringify(body), { ...jsonHeaders, ...headers }),
    async metric(series) {
      const lines = (await (await fetch(`${served.url}/metrics`)).text()).split('\n');
      return Number(lines.find((line) => line.startsWith(`${series} `))?.split(' ')[1] ?? Number.NaN);
    },
    async stop() {
      await served.stop();
      await images.stop();
      await Promise.all(services.map((service) => service.stop()));
    },
  };
}

async function serveImages(red: Buffer): Promise<{ host: string; stop: () => Promise<void> }> {
  const server = createServer((request, response) => {
    if (request.url === '/red.png') response.end(red);
    else if (request.url === '/text.png') response.end('This is not an image. '.repeat(40));
    else response.writeHead(404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return {
    host: `127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
