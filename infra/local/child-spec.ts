/** How a process of the local stack is started, checked for readiness, and stopped. */
export interface ChildSpec {
  /** Lower-case name, used for the log file and in messages. */
  name: string;
  command: string;
  args: readonly string[];
  /** The complete environment: nothing is inherited. */
  env: Readonly<Record<string, string | undefined>>;
  /** `message`: the process reports readiness over its IPC channel. A function is polled until it resolves to true. */
  ready: 'message' | (() => Promise<boolean>);
  readyTimeoutMs: number;
  stopSignal: 'SIGINT' | 'SIGTERM';
  /** Smaller numbers stop first; equal numbers stop together. */
  stopOrder: number;
  /** Time between the stop signal and SIGKILL. */
  graceMs: number;
  /** Runs before each start. */
  prepare?: () => Promise<void>;
  /** The process is told when this resolves. It loads its code meanwhile (`untilServicesAreUp`). */
  servicesUp?: Promise<unknown>;
}

/** Clients stop before the services they depend on. */
export const stopOrders = { api: 1, workers: 2, temporal: 3, s3: 4, postgres: 5 } as const;

/** The part of our environment that every service gets: no secrets, and no settings that change its behaviour. */
export function plainEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const name of ['PATH', 'HOME', 'USER', 'TMPDIR', 'TZ']) {
    const value = process.env[name];
    if (value !== undefined) passed[name] = value;
  }
  return { ...passed, LC_ALL: 'C', ...extra };
}
