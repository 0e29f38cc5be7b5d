import { AsyncLocalStorage } from 'node:async_hooks';
import { destination, pino, type DestinationStream, type Logger } from 'pino';

export type { Logger };

/** The last lines that were logged during a piece of work, as they were written, and how many earlier ones are gone. */
export interface LogCapture {
  readonly lines: readonly string[];
  readonly droppedLines: number;
  /** Runs `work`; what it logs, also in what it waits for, is written as always and kept here as well. */
  during<T>(work: () => T): T;
}

const maxLines = 200;
const maxBytes = 32_000;

const listening = new AsyncLocalStorage<(line: string) => void>();

/** JSON lines, on standard output if not elsewhere: timestamp, level, message, module and whatever fields are bound. */
export function createLogger(
  module: string,
  level = 'info',
  output: DestinationStream = destination({ sync: true }),
): Logger {
  return pino(
    {
      level,
      messageKey: 'message',
      errorKey: 'error',
      base: { module },
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write(line) {
        listening.getStore()?.(line);
        output.write(line);
      },
    },
  );
}

/** Keeps the newest 200 lines or 32 kB of what is logged during a piece of work, whichever is less. */
export function createLogCapture(): LogCapture {
  const lines: string[] = [];
  let bytes = 0;
  let droppedLines = 0;
  const keep = (line: string): void => {
    lines.push(line);
    bytes += Buffer.byteLength(line);
    while (lines.length > maxLines || bytes > maxBytes) {
      bytes -= Buffer.byteLength(lines.shift() ?? '');
      droppedLines += 1;
    }
  };
  return {
    lines,
    get droppedLines() {
      return droppedLines;
    },
    during: (work) => listening.run(keep, work),
  };
}
