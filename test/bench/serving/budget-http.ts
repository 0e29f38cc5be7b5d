import { closeSync, openSync, writeSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { connect } from 'node:net';
import { createApp } from '../../../api/app.js';
import { listen } from '../../../api/http/server/listen.js';
import type { Predicted } from '../../../api/inference/predictor.js';
import { createLogger } from '../../../platform/logging.js';
import { emptyDependencies } from '../../support/api-dependencies.js';
import { fakeEngine, predictionOf, servedOf } from '../../support/fake-model.js';
import { measureCost, type Cost } from './budget-phases.js';
import { putLoad, summarize } from './load.js';

const warmUpMs = 6_000;
const durationMs = 6_000;

/**
 * What HTTP costs in this process, with a client in another one. `head`: a bare server of Node, which reads the body and
 * answers as the API does. `routes`: what the application adds, with a predictor that answers at once.
 */
export async function measureHttp(requestFiles: string[]): Promise<Record<'accept' | 'head' | 'routes', Cost>> {
  const bare = createServer(answerAtOnce);
  bare.listen(0, '127.0.0.1');
  await once(bare, 'listening');
  const address = bare.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const accept = await measureCost(() => openAndClose(port));
  const head = await load(port, requestFiles);
  bare.close();
  const whole = await measureApplication(requestFiles);
  return { accept, head, routes: { cpuUs: whole.cpuUs - head.cpuUs, wallUs: whole.wallUs - head.wallUs } };
}

/** Both ends: halve it for the server. */
async function openAndClose(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
  await once(socket, 'close');
}

const answerAtOnce: RequestListener = (request, response) => {
  request.resume().once('end', () => {
    const body = 'x'.repeat(350);
    response.setHeader('Content-Type', 'application/json').setHeader('Content-Length', body.length).end(body);
  });
};

async function measureApplication(requestFiles: string[]): Promise<Cost> {
  const served = servedOf(fakeEngine());
  const predictionId = '01936d5e-0000-7000-8000-000000000000';
  const prediction = predictionOf([0.9, 0.1]);
  const predicted: Predicted = { served, prediction, abstained: false, predictionId, latencyMs: 1 };
  const nowhere = openSync('/dev/null', 'w');
  const app = createApp(
    emptyDependencies({
      predictor: {
        served: () => served,
        admit: () => undefined,
        image: () => Promise.resolve(predicted),
        pixels: () => Promise.resolve([predicted]),
        explain: () => Promise.reject(new Error('this bench requests no explanation')),
      },
      logger: createLogger('api', 'info', { write: (line) => void writeSync(nowhere, line) }),
    }),
  );
  const listening = await listen(app, '127.0.0.1', 0);
  const cost = await load(listening.port, requestFiles);
  await listening.stop(1_000);
  closeSync(nowhere);
  return cost;
}

async function load(port: number, requestFiles: string[]): Promise<Cost> {
  const order = { port, requestFiles, load: { kind: 'closed', connections: 1 } } as const;
  await putLoad({ ...order, durationMs: warmUpMs });
  const before = process.cpuUsage();
  const { ok, p50Ms } = summarize(await putLoad({ ...order, durationMs }));
  const { user, system } = process.cpuUsage(before);
  return { cpuUs: (user + system) / ok, wallUs: 1000 * p50Ms };
}
