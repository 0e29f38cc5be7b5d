/** Messages of a local process to its supervisor over the IPC channel. */
export interface ReadyMessage {
  type: 'ready';
  /** URL of the process, if it listens. */
  url?: string;
}

/** The answer of the supervisor to a process that waits until the services are up. */
export interface BeginMessage {
  type: 'begin';
}

/** Argument that tells a process to wait for that message. */
export const waitArgument = '--wait-for-services';
