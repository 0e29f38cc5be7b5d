import { AsyncLocalStorage } from 'node:async_hooks';
import { destination, pino, type DestinationStream, type Logger } from 'pino';
import { withoutSecrets } from './secrets.js';

export type { Logger };

/** The last log lines of a piece of work, as JSON, and the number of earlier lines that were dropped. */
export interface LogCapture {
  readonly lines: readonly string[];
  readonly droppedLines: number;
  /** Runs `work` and captures its log lines, also those of awaited code. They are still written to the log. */
  during<T>(work: () => T): T;
}

const maxLines = 200;
const maxBytes = 32_000;

const currentCapture = new AsyncLocalStorage<(line: string) => void>();

/** Logs JSON lines with timestamp, level, message, module and bound fields, without the secrets of the settings. */
export function createLogger(module: string, level = 'info', output: DestinationStream = standardOutput()): Logger {
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
      write(text) {
        const line = withoutSecrets(text);
        currentCapture.getStore()?.(line);
        output.write(line);
      },
    },
  );
}

/** Standard output. What it does not accept ends nothing: a full disk must not stop the process. */
function standardOutput(): DestinationStream {
  // Lines wait in memory up to this number of bytes and are written when it accepts them again.
  const output = destination({ sync: true, maxLength: 1_000_000 });
  output.on('error', () => undefined);
  return output;
}

/** Captures the newest 200 lines or 32 kB of a piece of work, whichever is less. */
export function createLogCapture(): LogCapture {
  const lines: string[] = [];
  let bytes = 0;
  let droppedLines = 0;
  const capture = (line: string): void => {
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
    during: (work) => currentCapture.run(capture, work),
  };
}
