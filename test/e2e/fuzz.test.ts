import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../platform/paths.js';
import { hasPython, pythonTools, type PythonTools } from '../support/python.js';
import { serves, startApi, type ServedApi } from '../support/served-api.js';
import { startObjectStore, startPostgres, startTemporal, type TestService } from '../support/services.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const run = promisify(execFile);
const describeWithPython = hasPython ? describe : describe.skip;

const settings = join(packageRoot, 'test', 'support', 'python', 'schemathesis.toml');

/** Made-up requests for each operation; `npm run fuzz` makes many more. */
const examples = process.env['FUZZ_EXAMPLES'] ?? '3';
/** Every combination of parameters, and requests that follow from answers, take minutes: they are for `npm run fuzz`. */
const isLong = process.env['FUZZ_EXAMPLES'] !== undefined;

describeWithPython('the API, asked whatever its OpenAPI document allows and much that it does not', () => {
  const folder = temporaryFolder();
  let services: TestService[];
  let served: ServedApi;
  let python: PythonTools;

  beforeAll(async () => {
    services = await Promise.all([startPostgres(), startObjectStore(), startTemporal()]);
    const environments = services.map(({ environment }) => environment);
    served = await startApi(Object.assign({}, ...environments));
    const version = await served.registerTiny();
    await served.promote(version);
    await serves(served, version);
    python = await pythonTools();
  }, 300_000);
  afterAll(async () => {
    await served.stop();
    await Promise.all(services.map((service) => service.stop()));
  });

  it('answers as documented, and never with a fault of its own', async () => {
    expect(await schemathesis()).toContain('No issues found');
    expect((await fetch(`${served.url}/v2/health/ready`)).status).toBe(200);
  }, 3_600_000);

  async function schemathesis(): Promise<string> {
    const phases = isLong ? 'coverage,fuzzing,stateful' : 'fuzzing';
    const args = [
      '--config-file',
      settings,
      'run',
      `${served.url}/openapi.json`,
      '--checks',
      'all',
      '--phases',
      phases,
    ];
    const choices = ['--max-examples', examples, '--workers', '2', '--no-shrink', '--no-color', '--warnings', 'off'];
    mkdirSync(folder, { recursive: true });
    try {
      const { stdout } = await run(
        python.program('schemathesis'),
        [...args, ...choices, '--generation-database', 'none'],
        {
          cwd: folder,
          maxBuffer: 100_000_000,
        },
      );
      return stdout;
    } catch (error) {
      // What it found is on standard output; the error of the process says only that there is something.
      const found: unknown = error instanceof Error && 'stdout' in error ? error.stdout : error;
      return String(found);
    }
  }
});
