import { Client, Connection, isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';
import { messageOf, PerennialError } from '../contracts/errors.js';

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

/** What gRPC says when a server is away, slow or shedding load: UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, RESOURCE_EXHAUSTED. */
const awayCodes: readonly number[] = [14, 4, 1, 8];

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

function toTemporalError(error: unknown, address: string): unknown {
  if (error instanceof PerennialError || error instanceof WorkflowNotFoundError) return error;
  const grpc = grpcFault(error);
  if (grpc === null) return error;
  if (awayCodes.includes(grpc.code)) {
    return new PerennialError(
      'temporal_unavailable',
      `Temporal at ${address} does not answer. Predictions go on; try this again when it is back.`,
      { cause: error },
    );
  }
  const hint = grpc.message.includes('search attribute')
    ? ' Register the Keyword search attributes MlModel, MlDataset, MlTrigger and MlStage in the namespace.'
    : '';
  return new PerennialError('internal', `Temporal refused the request: ${grpc.message}.${hint}`, { cause: error });
}

/** The client wraps some gRPC errors in its own and throws others as they are. */
function grpcFault(error: unknown): { code: number; message: string } | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (isGrpcServiceError(cause)) return { code: cause.code, message: messageOf(cause) };
  }
  return null;
}
