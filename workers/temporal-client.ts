import { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { toTemporalError } from '../platform/temporal/faults.js';

const deadlineMs = 10_000;

/** A Temporal client for activities, on the connection of the worker. */
export interface TemporalClient {
  /** Runs `work` with a deadline. Throws `temporal_unavailable` when Temporal does not answer in time. */
  use<T>(work: (client: Client) => Promise<T>): Promise<T>;
}

export function createTemporalClient(connection: NativeConnection, namespace: string, address: string): TemporalClient {
  const client = new Client({ connection, namespace });
  return {
    async use(work) {
      try {
        return await connection.withDeadline(Date.now() + deadlineMs, () => work(client));
      } catch (error) {
        throw toTemporalError(error, address);
      }
    },
  };
}
