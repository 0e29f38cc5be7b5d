/** How a process of the local stack is started, known to be ready, and stopped. */
export interface ChildSpec {
  /** Lower-case name: of its log file and in messages. */
  name: string;
  command: string;
  args: readonly string[];
  /** The whole environment of the process. */
  env: Readonly<Record<string, string | undefined>>;
  /** `message`: it says so over its IPC channel; otherwise this is asked until it says true. */
  ready: 'message' | (() => Promise<boolean>);
  readyTimeoutMs: number;
  stopSignal: 'SIGINT' | 'SIGTERM';
  /** Smaller numbers stop first; those of one number at once. */
  stopOrder: number;
  /** Time it gets to stop before it is killed. */
  graceMs: number;
  /** Runs before each start. */
  prepare?: () => Promise<void>;
}

/** Who needs nobody stops last. */
export const stopOrders = { api: 1, workers: 2, temporal: 3, s3: 4, postgres: 5 } as const;

/** What every service gets of our environment: nothing that holds a secret or changes how it works. */
export function plainEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const name of ['PATH', 'HOME', 'USER', 'TMPDIR', 'TZ']) {
    const value = process.env[name];
    if (value !== undefined) passed[name] = value;
  }
  return { ...passed, LC_ALL: 'C', ...extra };
}
