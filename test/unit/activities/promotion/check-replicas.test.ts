import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { freePorts } from '../../../../infra/local/ports.js';
import { checkReplicas, type ReplicaCheck } from '../../../../activities/promotion/check-replicas.js';
import type { Replica, ServingState } from '../../../../stores/registry/registry.js';
import { versionOf } from '../../../support/fake-model.js';

const question = { modelName: 'm', version: 2, generation: 7 };
const patience = { deadlineMs: 400, noneLiveMs: 60, pollMs: 10 };
interface Answer {
  status: number;
  body: object;
}
const right: Answer = { status: 200, body: { model_version: '2', confidence: 0.9 } };

/** The HTTP server of a replica, with scripted answers. */
let server: Server;
let url: string;
let script: Answer[];

beforeAll(async () => {
  const [port = 0] = await freePorts(1);
  url = `http://127.0.0.1:${port}`;
  server = createServer((request, response) => {
    const { status, body } = (script.length > 1 ? script.shift() : script[0]) ?? right;
    request.resume().on('end', () => response.writeHead(status).end(JSON.stringify(body)));
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => server.close());

interface Reported {
  generation: number;
  errorCode?: string | null;
}

/** `reports` are the states that the replica reports at each check; the last one stays. */
function check(reports: (Reported | null)[], answers: Answer[] = [right], inForce = 7): Promise<ReplicaCheck> {
  script = answers;
  let look = 0;
  const liveReplicas = (): Promise<Replica[]> => {
    const report = reports[Math.min(look++, reports.length - 1)];
    return Promise.resolve(report ? [replicaOf(report)] : []);
  };
  const servingState = (): Promise<ServingState> =>
    Promise.resolve({ generation: inForce, version: inForce === 7 ? null : versionOf(3), retirement: null });
  const deps = { registry: { liveReplicas, servingState }, image: new Uint8Array([1]) };
  return checkReplicas(deps, question, () => undefined, new AbortController().signal, patience);
}

function replicaOf({ generation, errorCode = null }: Reported): Replica {
  const error = errorCode === null ? null : `it says ${errorCode}`;
  return {
    replicaId: 'r',
    url,
    modelName: 'm',
    generation,
    version: 2,
    error,
    errorCode,
    figures: null,
    seenAt: '2026-01-01T00:00:00Z',
  };
}

describe('checkReplicas', () => {
  it('passes when every replica has loaded the generation and answers with the version', async () => {
    expect(await check([{ generation: 6 }, { generation: 7 }])).toMatchObject({ passed: true, replicas: [url] });
  });

  it('waits while a replica cannot load because of a transient error', async () => {
    const away: Reported = { generation: 7, errorCode: 'object_store_unavailable' };
    expect(await check([away, away, { generation: 7 }])).toMatchObject({ passed: true });
  });

  it('fails at once when the bundle is damaged', async () => {
    const result = await check([{ generation: 7, errorCode: 'bundle_invalid' }, { generation: 7 }]);
    expect(result.passed).toBe(false);
    expect(result.detail).toContain('bundle_invalid');
  });

  it('retries when a replica is busy', async () => {
    expect(await check([{ generation: 7 }], [{ status: 429, body: {} }, right])).toMatchObject({ passed: true });
  });

  it('fails when another version answers, or when the answer is no prediction', async () => {
    const other = { status: 200, body: { model_version: '1', confidence: 0.9 } };
    expect(await check([{ generation: 7 }], [other])).toMatchObject({ passed: false });
    expect(await check([{ generation: 7 }], [{ status: 200, body: {} }])).toMatchObject({ passed: false });
    expect(await check([{ generation: 7 }], [{ status: 500, body: {} }])).toMatchObject({ passed: false });
  });

  it('fails at the deadline when a replica never serves the version', async () => {
    const result = await check([{ generation: 6 }]);
    expect(result.passed).toBe(false);
    expect(result.detail).toContain('in time');
  });

  it('passes when another version was promoted meanwhile', async () => {
    const other = { status: 200, body: { model_version: '3', confidence: 0.9 } };
    for (const reports of [
      [{ generation: 8 }],
      [{ generation: 6 }],
      [{ generation: 8, errorCode: 'bundle_invalid' }],
    ]) {
      const result = await check(reports, [other], 8);
      expect(result.passed).toBe(true);
      expect(result.detail).toContain('version 3 replaced it');
    }
  });

  it('concludes that no replica is live only after a while', async () => {
    expect(await check([null, { generation: 6 }, { generation: 7 }])).toMatchObject({ passed: true, replicas: [url] });
    expect(await check([null])).toMatchObject({ passed: true, replicas: [] });
  });
});
