import { setPriority } from 'node:os';

/**
 * Lowers the priority of this process. On Linux a thread inherits the priority of the thread that starts it, so import this
 * module before any module that starts threads.
 */
const lowPriority = 15;

setPriority(lowPriority);
