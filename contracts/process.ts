/** Messages of a local process to its supervisor over the IPC channel. */
export interface ReadyMessage {
  type: 'ready';
  /** URL of the process, if it listens. */
  url?: string;
}
