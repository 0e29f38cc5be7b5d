import { Client, Connection } from '@temporalio/client';
import { toTemporalError } from '../platform/temporal-faults.js';

export interface TemporalAddress {
  address: string;
  namespace: string;
  apiKey: string | undefined;
  tls: boolean;
}

/** A connection to Temporal that is made when first needed and comes back by itself. */
export interface TemporalLink {
  /** Runs `work` with a deadline. Throws `temporal_unavailable` when Temporal does not answer in time. */
  use<T>(work: (client: Client) => Promise<T>): Promise<T>;
  /** Whether Temporal answers. */
  probe(): Promise<void>;
  close(): Promise<void>;
}

const deadlineMs = 4_000;

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
  const use = async <T>(work: (client: Client) => Promise<T>): Promise<T> => {
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
