import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../platform/paths.js';

/** Asserts that a generated document in the project is current; `UPDATE_DOCS=1` writes it instead. */
export async function expectDocument(path: string, content: string): Promise<void> {
  const file = join(packageRoot, path);
  if (process.env['UPDATE_DOCS'] === '1') await writeFile(file, content);
  expect(await readFile(file, 'utf8')).toBe(content);
}
