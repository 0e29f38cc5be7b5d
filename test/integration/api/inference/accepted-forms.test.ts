import { execFile, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readPage } from '../../../support/documented-commands.js';
import { redImage, serves, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';

const run = promisify(execFile);

const hasTools = ['bash', 'curl', 'base64'].every((tool) => spawnSync(tool, ['--version']).status === 0);
if (!hasTools) console.warn('skipped: bash, curl or base64 is missing; the table of docs/serving.md is not tried');

/** The section of the page: shell functions, and a table of forms with a command each. */
function readSection(): { beginning: string; forms: [string, string][] } {
  const page = readPage('docs/serving.md');
  const section = /### All accepted forms\n([^]*?)\n### /.exec(page)?.[1] ?? '';
  const rows = section.matchAll(/^\| (.*?) +\| `((?:curl|printf|head).*)` +\|$/gm);
  return {
    beginning: /```sh\n([^]*?)```/.exec(section)?.[1] ?? '',
    forms: [...rows].map(([, form = '', command = '']) => [form, command.replaceAll('\\|', '|')]),
  };
}

const { beginning, forms } = readSection();

(hasTools ? describe : describe.skip)('every accepted form, as the page on serving says', () => {
  let postgres: TestService;
  let objectStore: TestService;
  let served: ServedApi;
  const folder = temporaryFolder();

  beforeAll(async () => {
    [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
    served = await startApi({ ...postgres.environment, ...objectStore.environment });
    await writeFile(join(folder, 'photo.jpg'), await redImage(400, 300));
    const version = await served.registerTiny();
    await served.promote(version);
    await serves(served, version);
  });
  afterAll(async () => {
    await served.stop();
    await Promise.all([postgres.stop(), objectStore.stop()]);
  });

  it('has a command for each form', () => {
    expect(forms.length).toBeGreaterThan(20);
  });

  it.each(forms)('%s', async (form, command) => {
    const script = `server=${served.url}\n${beginning}\n${command}`;
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], {
      cwd: folder,
      maxBuffer: 10_000_000,
      encoding: 'latin1',
    });
    // A red image; the last form sends a black one.
    expect(stdout).toMatch(form.includes('in binary') ? /"outputs":/ : answerOfRed);
    expect(stdout).not.toContain('/problems/');
  });
});

/** The tiny model says dandelion for red: by name, or as the first and greater probability. */
const answerOfRed = /"prediction":"dandelion"|"data":\["dandelion"|"predictions":\[\[0\.[5-9]|"label":"dandelion"/;
