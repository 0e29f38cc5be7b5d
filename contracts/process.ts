/** What a process of the local stack says to its supervisor over the IPC channel. */
export interface ReadyMessage {
  type: 'ready';
  /** Where the process listens, when it does. */
  url?: string;
}
