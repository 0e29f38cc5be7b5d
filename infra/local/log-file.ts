import { closeSync, fstatSync, ftruncateSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { messageOf, systemCodeOf } from '../../contracts/errors.js';

export interface LogFile {
  /** Never throws: a line that cannot be written is counted, and the count is written with the next line that can. */
  write(line: string): void;
  close(): void;
}

/** A log that is rotated at `maxBytes`; the previous `keep` files stay beside it, `<path>.1` being the newest. */
export function openLogFile(path: string, { maxBytes = 10_000_000, keep = 3 } = {}): LogFile {
  const file = new RotatedFile(path, maxBytes, keep);
  let isOpen = true;
  let lost = 0;
  let reason = '';
  const attempt = (text: string): boolean => {
    try {
      file.append(Buffer.from(text));
      return true;
    } catch (error) {
      reason = messageOf(error);
      return false;
    }
  };
  attempt('');
  return {
    write: (line) => {
      if (!isOpen) return;
      const notice = lost === 0 ? '' : `${lost} ${lost === 1 ? 'line was' : 'lines were'} lost: ${reason}\n`;
      if (attempt(`${notice}${line}\n`)) lost = 0;
      else lost += 1;
    },
    close: () => {
      isOpen = false;
      file.close();
    },
  };
}

/** The open file. A failed write leaves no part of a line, and the next one opens the file again if it must. */
class RotatedFile {
  private descriptor: number | null = null;
  private size = 0;

  constructor(
    private readonly path: string,
    private readonly maxBytes: number,
    private readonly keep: number,
  ) {}

  append(bytes: Buffer): void {
    if (this.size > 0 && this.size + bytes.length > this.maxBytes) this.rotate();
    const descriptor = this.descriptor ?? this.open();
    try {
      for (let written = 0; written < bytes.length;) written += writeSync(descriptor, bytes, written);
    } catch (error) {
      this.cutTorn(descriptor);
      throw error;
    }
    this.size += bytes.length;
  }

  close(): void {
    const { descriptor } = this;
    this.descriptor = null;
    if (descriptor === null) return;
    try {
      closeSync(descriptor);
    } catch {
      // What could not be written is lost; there is no one to report it to.
    }
  }

  private open(): number {
    const descriptor = openSync(this.path, 'a', 0o600);
    this.size = fstatSync(descriptor).size;
    this.descriptor = descriptor;
    return descriptor;
  }

  private rotate(): void {
    this.close();
    shift(this.path, this.keep);
    this.size = 0;
  }

  private cutTorn(descriptor: number): void {
    try {
      ftruncateSync(descriptor, this.size);
    } catch {
      this.close();
    }
  }
}

function shift(path: string, keep: number): void {
  rmSync(`${path}.${keep}`, { force: true });
  for (let number = keep - 1; number >= 1; number -= 1) moveIfThere(`${path}.${number}`, `${path}.${number + 1}`);
  moveIfThere(path, `${path}.1`);
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  }
}
