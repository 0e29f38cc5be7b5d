import { spawnSync } from 'node:child_process';
import { startShell, type CommandShell, type Execution } from '../support/command-shell.js';
import {
  commandBlocksOf,
  fieldsOf,
  isMissedCommand,
  readPages,
  type CommandBlock,
  type DocumentedCommand,
} from '../support/documented-commands.js';
import {
  openRuns,
  pauseSchedules,
  settled,
  startDocumentedStack,
  type DocumentedStack,
} from '../support/documented-stack.js';
import { placeholders, situations, type Placeholder } from '../support/documented-values.js';

const isInstalled = (program: string): boolean => spawnSync(program, ['--version']).status === 0;
const hasTools = ['bash', 'curl', 'git', 'python3'].every(isInstalled);
if (!hasTools) console.warn('skipped: bash, curl, git or python3 is missing; the documentation is not tried');

interface Omission {
  page: string;
  /** How the command begins. */
  command: string;
  reason: string;
}

/** Commands that are not executed. All others are. */
const omissions: readonly Omission[] = [
  { page: 'README.md', command: 'npm start', reason: 'test/e2e/main-path.test.ts runs it' },
  { page: 'README.md', command: 'npm test', reason: 'it runs this test' },
  { page: 'README.md', command: 'DATASET_DIR=~/photographs npm start', reason: 'test/e2e/main-path.test.ts runs it' },
  { page: 'README.md', command: 'npm run scenario -- degradation', reason: 'test/e2e/scenarios.test.ts runs it' },
  { page: 'README.md', command: 'npm run scenario -- new-data', reason: 'test/e2e/scenarios.test.ts runs it' },
  { page: 'README.md', command: 'npm run scenario -- rollback', reason: 'test/e2e/scenarios.test.ts runs it' },
  { page: 'CONTRIBUTING.md', command: 'npm run setup', reason: 'npm test has run it' },
  { page: 'CONTRIBUTING.md', command: 'npm run build', reason: 'it replaces the code under test' },
  { page: 'CONTRIBUTING.md', command: 'npm test', reason: 'it runs this test' },
  { page: 'CONTRIBUTING.md', command: 'npm run lint', reason: 'CI runs it' },
  { page: 'CONTRIBUTING.md', command: 'npm run check', reason: 'it runs this test' },
  { page: 'CONTRIBUTING.md', command: 'npm run bench', reason: 'it measures the machine for minutes' },
  { page: 'CONTRIBUTING.md', command: 'npm run full-disk', reason: 'test/e2e/full-disk.test.ts is a short run of it' },
  { page: 'CONTRIBUTING.md', command: 'npm run chaos', reason: 'test/chaos is a short run of it' },
  { page: 'docs/security.md', command: 'HOST=0.0.0.0', reason: 'it opens a stack to the network' },
];
/** DVC is not among the tools that a developer needs. */
const withDvc: readonly Omission[] = ['git init -q && dvc init -q', 'dvc remote', 'dvc pull'].map((command) => ({
  page: 'docs/datasets.md',
  command,
  reason: 'dvc is not installed',
}));
const omitted = [...omissions, ...(isInstalled('dvc') ? [] : withDvc)];

const pages = readPages().map(({ name, text }) => ({ name, text, blocks: commandBlocksOf(text) }));
const withCommands = pages.filter(({ blocks }) => blocks.length > 0);
const commands = withCommands.flatMap(({ name, blocks }) =>
  blocks.flatMap((block) => block.commands.map(({ script }) => ({ page: name, script }))),
);

describe('the documentation', () => {
  it('has every command in a block that is marked as such', () => {
    expect(pages.flatMap(({ name, text }) => (isMissedCommand(text) ? [name] : []))).toEqual([]);
    expect(commands.length).toBeGreaterThan(80);
  });

  it('has every command that is omitted here, and every text that is replaced', () => {
    const has = (page: string, holds: (script: string) => boolean): boolean =>
      commands.some((each) => each.page === page && holds(each.script));
    const unknown = [
      ...[...omissions, ...withDvc].filter(({ page, command }) => !has(page, (script) => script.startsWith(command))),
      ...placeholders.filter(({ page, text }) => !has(page, (script) => script.includes(text))),
    ];
    expect(unknown).toEqual([]);
  });
});

(hasTools ? describe : describe.skip)('the commands of', () => {
  let stack: DocumentedStack;
  const values = new Map<Placeholder, string>();

  beforeAll(async () => {
    stack = await startDocumentedStack();
  }, 300_000);
  afterEach(() => pauseSchedules(stack));
  afterAll(() => stack.stop());

  it.each(withCommands)(
    '$name do what the page says',
    async ({ name, blocks }) => {
      await situations[name]?.(stack);
      const shell = startShell(stack);
      const faults: unknown[] = [];
      try {
        for (const block of blocks) faults.push(...(await faultsOf(name, block, shell)));
      } finally {
        await shell.stop();
      }
      expect(faults).toEqual([]);
    },
    300_000,
  );

  async function faultsOf(page: string, block: CommandBlock, shell: CommandShell): Promise<unknown[]> {
    const faults: unknown[] = [];
    let printed = '';
    for (const command of block.commands) {
      if (omitted.some((each) => each.page === page && command.script.startsWith(each.command))) continue;
      const script = await withValues(page, command.script);
      const done = await shell.run(script);
      printed += done.output;
      const found = await judge(command, done);
      if (found.length > 0) faults.push({ script, found, output: done.output.slice(0, 2_000) });
    }
    return [...faults, ...missingFields(block.fields, printed)];
  }

  async function withValues(page: string, script: string): Promise<string> {
    let filled = script;
    for (const placeholder of placeholders.filter((each) => each.page === page)) {
      if (!script.includes(placeholder.text)) continue;
      const value = values.get(placeholder) ?? (await placeholder.value(stack));
      values.set(placeholder, value);
      filled = filled.replaceAll(placeholder.text, value);
    }
    return filled;
  }

  /** What differs from the page: exit code, status, fields of the answer, and how the runs end that the command started. */
  async function judge({ status, fields }: DocumentedCommand, done: Execution): Promise<unknown[]> {
    const faults: unknown[] = done.exitCode === 0 ? [] : [`exit code ${String(done.exitCode)}`];
    const runs = new Set(await openRuns(stack.api));
    for (const answer of done.answers) {
      const isAsSaid = status === null ? answer.status < 400 : answer.status === status;
      if (!isAsSaid) faults.push(`status ${String(answer.status)}`);
      if (answer.status === 202 && answer.location !== null) runs.add(answer.location);
    }
    for (const run of runs) faults.push(...[await settled(stack, run)].filter((failure) => failure !== null));
    return [...faults, ...missingFields(fields, done.output)];
  }

  function missingFields(fields: readonly string[], output: string): string[] {
    const present = fieldsOf(output);
    return fields.flatMap((field) => (present.includes(field) ? [] : [`the answer has no field ${field}`]));
  }
});
