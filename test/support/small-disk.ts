import { execFile } from 'node:child_process';
import { open, mkdtemp, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A file system of a given size in memory, which a test may fill. */
export interface SmallDisk {
  folder: string;
  /** Why there is none on this machine; null if there is. */
  reason: string | null;
  /** Takes all space that is left, also what was freed since the last call. */
  fill(): Promise<void>;
  /** Gives the space back. */
  free(): Promise<void>;
  unmount(): Promise<void>;
}

/** Mounts a disk of `size`, such as `420m`. Only root on Linux may do that. */
export async function mountDisk(size: string, mode: 'rw' | 'ro' = 'rw'): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-disk-'));
  const reason = await mount(folder, `size=${size},${mode}`);
  const path = join(folder, 'ballast');
  let ballast: FileHandle | null = null;
  return {
    folder,
    reason,
    async fill() {
      ballast ??= await open(path, 'a');
      for (const bytes of [1_048_576, 4_096]) await writeUntilFull(ballast, Buffer.alloc(bytes));
    },
    async free() {
      await ballast?.close();
      ballast = null;
      await rm(path, { force: true });
    },
    async unmount() {
      await ballast?.close();
      if (reason === null) await run('umount', [folder]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function mount(folder: string, options: string): Promise<string | null> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root on Linux may mount a file system';
  try {
    await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
    return null;
  } catch {
    return 'this container may not mount a file system';
  }
}

async function writeUntilFull(file: FileHandle, block: Buffer): Promise<void> {
  try {
    for (;;) {
      const { bytesWritten } = await file.write(block);
      if (bytesWritten < block.length) return;
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  }
}
