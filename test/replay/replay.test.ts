import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { z } from 'zod';
import { packageRoot } from '../../platform/paths.js';
import { workflowTypes } from '../../contracts/names.js';
import { bundlePath } from '../../workflows/bundle/path.js';

const folder = join(packageRoot, 'test/replay/histories');
const recorded = readdirSync(folder).flatMap((workflow) =>
  readdirSync(join(folder, workflow)).map((file) => `${workflow}/${file}`),
);

beforeAll(() => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
});

const started = z.object({ workflowExecutionStartedEventAttributes: z.object({ workflowId: z.string() }) });
const historySchema = z.looseObject({ events: z.tuple([started]).rest(z.unknown()) });

/** Ids of children contain the parent's id, so a history is replayed under its original id. */
function replay(history: string): Promise<void> {
  const parsed: unknown = JSON.parse(history);
  const { workflowId } = historySchema.parse(parsed).events[0].workflowExecutionStartedEventAttributes;
  return Worker.runReplayHistory({ workflowBundle: { codePath: bundlePath } }, parsed, workflowId);
}

describe('replay of recorded histories', () => {
  it('covers every workflow', () => {
    expect(new Set(recorded.map((path) => path.split('/')[0]))).toEqual(new Set(Object.values(workflowTypes)));
  });

  it.each(recorded)('%s replays with the current code', async (path) => {
    await replay(await readFile(join(folder, path), 'utf8'));
  });

  it('fails when the history has another activity than the code calls', async () => {
    const history = await readFile(join(folder, 'validateModel/promoted.json'), 'utf8');
    const tampered = history.replaceAll('validateCandidate', 'weighCandidate');
    expect(tampered).not.toBe(history);
    await expect(replay(tampered)).rejects.toThrow(DeterminismViolationError);
  });
});
