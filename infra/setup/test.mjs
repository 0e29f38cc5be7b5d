import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildFolder, packageRoot } from './paths.mjs';
import { runSetup } from './run-setup.mjs';
import { createProgress } from './progress.mjs';

/** `npm test [-- jest arguments]`: set-up, build, Jest, and a summary in one plain line. */

const timeLimitMs = 45 * 60_000;
const minioFlag = '--object-store=minio';
const args = process.argv.slice(2);
const withMinio = args.includes(minioFlag);
await runSetup({ progress: createProgress(), purpose: 'test', withMinio });

const resultsFile = join(buildFolder, '.test-results.json');
rmSync(resultsFile, { force: true });
const jest = join(packageRoot, 'node_modules', 'jest', 'bin', 'jest.js');
// MinIO runs only the suites of the object store.
const chosen = withMinio ? [...args.filter((arg) => arg !== minioFlag), 'object-store'] : args;
const { status } = spawnSync(process.execPath, [jest, ...chosen, '--json', `--outputFile=${resultsFile}`], {
  cwd: packageRoot,
  stdio: ['inherit', 'inherit', 'inherit'],
  // The runner has no time limit: a hanging test must not block a CI machine.
  timeout: timeLimitMs,
  env: { ...process.env, ...(withMinio ? { PERENNIAL_TEST_OBJECT_STORE: 'minio' } : {}) },
});
console.log(`\n${summary()}`);
process.exit(status ?? 1);

/** Counts suites that could not run as failed. */
function summary() {
  try {
    const results = /** @type {Record<string, number>} */ (JSON.parse(readFileSync(resultsFile, 'utf8')));
    const count = (/** @type {string} */ key) => results[key] ?? 0;
    const failed = count('numFailedTests') + count('numRuntimeErrorTestSuites');
    const skipped = count('numPendingTests') + count('numTodoTests');
    return `${String(count('numPassedTests'))} passed, ${String(failed)} failed, ${String(skipped)} skipped`;
  } catch {
    return 'Jest wrote no results; see its output above.';
  }
}
