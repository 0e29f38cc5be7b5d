import { Client, Connection } from '@temporalio/client';
import { toTemporalError } from '../../platform/temporal/faults.js';

export interface TemporalAddress {
  address: string;
  namespace: string;
  apiKey: string | undefined;
  tls: boolean;
}

/** A connection to Temporal that is made when first needed and comes back by itself. */
export interface TemporalLink {
  /** Runs `work` with a deadline, of 4 s unless told. Throws `temporal_unavailable` when it is over. */
  use<T>(work: (client: Client) => Promise<T>, deadlineMs?: number): Promise<T>;
  /** Whether Temporal answers. */
  probe(): Promise<void>;
  close(): Promise<void>;
}

const usualDeadlineMs = 4_000;

/** gRPC's own pauses grow to two minutes, and a server that is back for long would still be called away. */
const reconnection = { 'grpc.initial_reconnect_backoff_ms': 250, 'grpc.max_reconnect_backoff_ms': 2_000 };

export function createTemporalLink({ address, namespace, apiKey, tls }: TemporalAddress): TemporalLink {
  const connection = Connection.lazy({
    address,
    tls,
    ...(apiKey !== undefined && { apiKey }),
    // Clients of ours are told to come back, so nothing is tried again here: a retry still waiting when the
    // connection is closed would throw where nobody can catch it.
    interceptors: [],
    channelArgs: reconnection,
  });
  const client = new Client({ connection, namespace });
  const use: TemporalLink['use'] = async (work, deadlineMs = usualDeadlineMs) => {
    try {
      return await connection.withDeadline(Date.now() + deadlineMs, () => work(client));
    } catch (error) {
      throw toTemporalError(error, address);
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
