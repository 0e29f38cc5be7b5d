import { Client, Connection } from '@temporalio/client';
import { toTemporalError } from '../../platform/temporal/faults.js';

export interface TemporalAddress {
  address: string;
  namespace: string;
  apiKey: string | undefined;
  tls: boolean;
}

/** A connection to Temporal that is opened on first use and reconnects. */
export interface TemporalLink {
  /** Runs `work` with a deadline, by default 4 s. Throws `temporal_unavailable` when it passes. */
  use<T>(work: (client: Client) => Promise<T>, deadlineMs?: number): Promise<T>;
  /** Checks that Temporal answers. */
  probe(): Promise<void>;
  close(): Promise<void>;
}

const usualDeadlineMs = 4_000;

/** gRPC's default back-off grows to two minutes, so that a recovered server would still count as unavailable. */
const reconnection = { 'grpc.initial_reconnect_backoff_ms': 250, 'grpc.max_reconnect_backoff_ms': 2_000 };

export function createTemporalLink({ address, namespace, apiKey, tls }: TemporalAddress): TemporalLink {
  const connection = Connection.lazy({
    address,
    tls,
    ...(apiKey !== undefined && { apiKey }),
    // Our clients are told to retry, so this connection does not: a retry still waiting when the
    // connection is closed would throw an uncaught error.
    interceptors: [],
    channelArgs: reconnection,
  });
  const client = new Client({ connection, namespace });
  let underWay = 0;
  const use: TemporalLink['use'] = async (work, deadlineMs = usualDeadlineMs) => {
    underWay += 1;
    try {
      return await connection.withDeadline(Date.now() + deadlineMs, () => work(client));
    } catch (error) {
      throw toTemporalError(error, address);
    } finally {
      underWay -= 1;
      // The first call starts to follow every promise of the process, predictions too, which makes them a seventh dearer.
      if (underWay === 0) connection.callContextStorage.disable();
    }
  };
  return {
    use,
    async probe() {
      await use(() => connection.workflowService.describeNamespace({ namespace }));
    },
    close: () => connection.close(),
  };
}
