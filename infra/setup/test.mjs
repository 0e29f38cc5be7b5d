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

const jest = join(packageRoot, 'node_modules', 'jest', 'bin', 'jest.js');
// MinIO runs only the suites of the object store.
const chosen = withMinio ? [...args.filter((arg) => arg !== minioFlag), 'object-store'] : args;
const first = runJest(chosen, '.test-results.json');
// A race that a test loses on a loaded machine fails one run in several; a defect fails twice. More failures are defects.
const again = first.failedFiles.length <= 2 ? first.failedFiles : [];
const second = again.length > 0 ? runJest(again, '.test-results-again.json') : null;
console.log(`\n${first.summary}`);
if (second) {
  console.log(`Run again alone, because they failed:\n  ${again.join('\n  ')}\nSecond attempt: ${second.summary}`);
  if (second.status === 0)
    console.log('These tests are flaky. That is a defect: find its cause, see the first failure above.');
}
process.exit((second ?? first).status);

/**
 * Runs Jest on the files or with the arguments given; counts suites that could not run as failed.
 * @param {string[]} files
 * @param {string} resultsName
 */
function runJest(files, resultsName) {
  const resultsFile = join(buildFolder, resultsName);
  rmSync(resultsFile, { force: true });
  const { status } = spawnSync(process.execPath, [jest, ...files, '--json', `--outputFile=${resultsFile}`], {
    cwd: packageRoot,
    stdio: ['inherit', 'inherit', 'inherit'],
    // The runner has no time limit: a hanging test must not block a CI machine.
    timeout: timeLimitMs,
    env: { ...process.env, ...(withMinio ? { PERENNIAL_TEST_OBJECT_STORE: 'minio' } : {}) },
  });
  return { status: status ?? 1, ...read(resultsFile) };
}

/** @param {string} resultsFile */
function read(resultsFile) {
  try {
    const results = /** @type {Record<string, number> & { testResults: { name: string, status: string }[] }} */ (
      JSON.parse(readFileSync(resultsFile, 'utf8'))
    );
    const count = (/** @type {string} */ key) => results[key] ?? 0;
    const failed = count('numFailedTests') + count('numRuntimeErrorTestSuites');
    const skipped = count('numPendingTests') + count('numTodoTests');
    return {
      summary: `${String(count('numPassedTests'))} passed, ${String(failed)} failed, ${String(skipped)} skipped`,
      failedFiles: results.testResults.filter(({ status }) => status === 'failed').map(({ name }) => name),
    };
  } catch {
    return { summary: 'Jest wrote no results; see its output above.', failedFiles: [] };
  }
}
