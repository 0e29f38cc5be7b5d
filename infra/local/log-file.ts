import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';

export interface LogFile {
  write(line: string): void;
  close(): void;
}

/** A log that is rotated at `maxBytes`; the previous `keep` files stay beside it, `<path>.1` being the newest. */
export function openLogFile(path: string, { maxBytes = 10_000_000, keep = 3 } = {}): LogFile {
  let descriptor = openSync(path, 'a', 0o600);
  let size = fstatSync(descriptor).size;
  let isOpen = true;
  return {
    write: (line) => {
      if (!isOpen) return;
      const bytes = Buffer.from(`${line}\n`);
      if (size > 0 && size + bytes.length > maxBytes) {
        closeSync(descriptor);
        shift(path, keep);
        descriptor = openSync(path, 'a', 0o600);
        size = 0;
      }
      size += writeSync(descriptor, bytes);
    },
    close: () => {
      if (isOpen) closeSync(descriptor);
      isOpen = false;
    },
  };
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
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}
