import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const keysSchema = z.object({ accessKeyId: z.string().min(3), secretAccessKey: z.string().min(8) });
export type ObjectStoreKeys = z.infer<typeof keysSchema>;

/**
 * The keys of the local S3 server, in `keys.json` of its folder, where only this account reads them. They are random and
 * made at the first start, because every program and account of the machine can reach the server's port.
 */
export function objectStoreKeys(folder: string): ObjectStoreKeys {
  const file = join(folder, 'keys.json');
  if (!existsSync(file)) writeKeys(folder, file);
  chmodSync(file, 0o600);
  const parsed = keysSchema.safeParse(parseJson(readFileSync(file, 'utf8')));
  if (parsed.success) return parsed.data;
  throw new Error(`${file} is damaged. Delete it and start again: new keys are made, and the stored files stay.`);
}

function writeKeys(folder: string, file: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const random = (bytes: number): string => randomBytes(bytes).toString('hex');
  const keys: ObjectStoreKeys = { accessKeyId: random(10), secretAccessKey: random(24) };
  writeFileSync(`${file}.draft`, `${JSON.stringify(keys)}\n`, { mode: 0o600 });
  renameSync(`${file}.draft`, file);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
