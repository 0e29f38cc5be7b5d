import { availableParallelism } from 'node:os';
import { messageOf } from '../../../contracts/errors.js';
import { variants } from '../../../contracts/registry/bundle.js';
import { costOf, knowsCosts } from '../processes.js';
import { putLoad, summarize } from '../serving/load.js';
import { graphOf, startServingFixture, type ServingFixture } from '../serving/serving-fixture.js';
import { printColumns } from '../table.js';
import { compare, type Measured, type Round } from './comparison.js';
import { preparePeer, startPeer } from './peer-server.js';

const connectionCounts = [1, 16, 64, 256];
const rounds = 3;
const warmUpMs = 1_500;
const durationMs = 6_000;

interface Server {
  port: number;
  pid: number;
}

/**
 * The API beside the server that a user would write instead, on the same network, under the same load of form uploads.
 * Clients ignore Retry-After. Both servers are up and take turns. Numbers of connections and variants can be chosen:
 * `npm run bench -- peers 16 int8`.
 */
export async function benchPeers(datasetDir: string, wanted: readonly string[]): Promise<void> {
  if (!knowsCosts) {
    skip('CPU times of processes are read from /proc, which this system does not have');
    return;
  }
  const program = await preparePeer().catch((error: unknown) => skip(messageOf(error)));
  if (program === undefined) return;
  const fixture = await startServingFixture(datasetDir);
  try {
    for (const variant of chosen(variants, wanted)) {
      const served = await fixture.serve({ SERVING_VARIANT: variant });
      if (served !== variant) throw new Error(`${served} is served in place of ${variant}`);
      const peer = await startPeer(program, graphOf(fixture, variant), availableParallelism());
      const rows = await measureCells(fixture, peer, chosen(connectionCounts, wanted)).finally(() => peer.stop());
      printColumns(`Beside the peer, ${variant}`, columns, rows);
    }
  } finally {
    await fixture.stop();
  }
}

const columns = ['connections', 'figure', 'peer', 'Perennial', 'ratio'];

/** Those of a list that are wanted by name; all if none is. */
function chosen<T extends string | number>(all: readonly T[], wanted: readonly string[]): readonly T[] {
  const some = all.filter((each) => wanted.includes(String(each)));
  return some.length > 0 ? some : all;
}

function skip(reason: string): undefined {
  process.stdout.write(`peers are skipped: ${reason.split('\n')[0] ?? ''}\n`);
}

async function measureCells(fixture: ServingFixture, peer: Server, counts: readonly number[]): Promise<string[][]> {
  const product = { port: fixture.port, pid: fixture.apiPid() };
  const requestFiles = fixture.requests['JPEG form'];
  const rows: string[][] = [];
  for (const connections of counts) {
    const done: Round[] = [];
    while (done.length < rounds) {
      done.push({
        peer: await measure(peer, requestFiles, connections),
        product: await measure(product, requestFiles, connections),
      });
    }
    rows.push(...compare(String(connections), done));
  }
  return rows;
}

async function measure({ port, pid }: Server, requestFiles: string[], connections: number): Promise<Measured> {
  const order = { port, requestFiles, load: { kind: 'closed', connections, hammers: true } } as const;
  await putLoad({ ...order, durationMs: warmUpMs });
  const before = await costOf(pid);
  const report = await putLoad({ ...order, durationMs });
  const after = await costOf(pid);
  const { perSecond, p50Ms, p95Ms, ok, shed, failed } = summarize(report);
  return {
    goodPerSecond: perSecond,
    p50Ms,
    p95Ms,
    cpuMs: (after.cpuMs - before.cpuMs) / ok,
    residentMb: after.residentMb,
    refused: (shed + failed) / (ok + shed + failed),
    clientCores: report.cpuMs / (1000 * report.seconds),
  };
}
