import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { packageRoot } from '../../platform/paths.js';
import { hasPython, pythonTools, type PythonTools } from '../support/python.js';
import { serves, startApi, type ServedApi } from '../support/served-api.js';
import { startObjectStore, startPostgres, startTemporal, type TestService } from '../support/services.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const run = promisify(execFile);
const outputSchema = z.object({ stdout: z.string(), stderr: z.string() }).partial();
const describeWithPython = hasPython ? describe : describe.skip;

const configuration = join(packageRoot, 'test', 'support', 'python', 'schemathesis.toml');

/**
 * `npm run fuzz` sends generated requests for each operation, different ones each time, and requests that follow from
 * responses. Other test runs send a few fixed ones, and those at the limits of each parameter.
 */
const examples = process.env['FUZZ_EXAMPLES'];
const effort =
  examples === undefined
    ? ['--phases', 'coverage,fuzzing', '--max-examples', '1', '--generation-deterministic']
    : ['--phases', 'coverage,fuzzing,stateful', '--max-examples', examples, '--generation-database', 'none'];

describeWithPython('the API, asked whatever its OpenAPI document allows and much that it does not', () => {
  const folder = temporaryFolder();
  let services: TestService[];
  let served: ServedApi;
  let python: PythonTools;

  beforeAll(async () => {
    services = await Promise.all([startPostgres(), startObjectStore(), startTemporal()]);
    const settings = services.flatMap(({ environment }) => Object.entries(environment));
    served = await startApi(Object.fromEntries(settings));
    const version = await served.registerTiny();
    await served.promote(version);
    await serves(served, version);
    python = await pythonTools();
  }, 300_000);
  afterAll(async () => {
    await served.stop();
    await Promise.all(services.map((service) => service.stop()));
  });

  it('answers as documented, and never with an internal error', async () => {
    expect(await schemathesis()).toContain('No issues found');
    expect((await fetch(`${served.url}/v2/health/ready`)).status).toBe(200);
  }, 3_600_000);

  async function schemathesis(): Promise<string> {
    const args = ['--config-file', configuration, 'run', `${served.url}/openapi.json`, ...effort];
    const choices = ['--workers', '2', '--no-shrink', '--no-color', '--warnings', 'off'];
    try {
      const { stdout } = await run(python.program('schemathesis'), [...args, ...choices], {
        cwd: folder,
        maxBuffer: 100_000_000,
      });
      return stdout;
    } catch (error) {
      const { stdout = '', stderr = '' } = outputSchema.catch({}).parse(error);
      return stdout + stderr || String(error);
    }
  }
});
