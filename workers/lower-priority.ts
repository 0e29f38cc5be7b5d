import { setPriority } from 'node:os';

/**
 * Makes this process give way to others: on Linux a thread takes its priority from the one that starts it, so this is
 * imported before anything that starts threads.
 */
const lowPriority = 15;

setPriority(lowPriority);
