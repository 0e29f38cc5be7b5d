import { pino, type Logger } from 'pino';

export type { Logger };

/** JSON lines on standard output: timestamp, level, message, module and whatever fields are bound. */
export function createLogger(module: string, level = 'info'): Logger {
  return pino({
    level,
    messageKey: 'message',
    errorKey: 'error',
    base: { module },
    timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
  });
}
