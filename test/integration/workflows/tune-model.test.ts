import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { tuningSteps, tuningWorkflowId } from '../../../contracts/names.js';
import type { Progress } from '../../../contracts/workflows/runs.js';
import {
  searchBudgetSchema,
  searchSpaceSchema,
  type SearchBudget,
  type TrialInput,
  type TrialScore,
  type TuningInput,
  type TuningResult,
} from '../../../contracts/experiments/tuning.js';
import type { RungEnd } from '../../../activities/tuning/search-record.js';
import type { tuneModel } from '../../../workflows/index.js';
import { poll } from '../../support/api-client.js';
import { createFakeActivities, type AllActivities, type Written } from '../../support/fake-activities.js';
import { startWorkflowServer, type WorkflowServer } from '../../support/workflow-server.js';

let server: WorkflowServer;
beforeAll(async () => {
  server = await startWorkflowServer();
});
afterAll(() => server.stop());

type Handle = WorkflowHandleWithFirstExecutionRunId<typeof tuneModel>;

const deadlineMs = 20_000;

function start(budget: Partial<SearchBudget>, modelName = `model-${randomUUID()}`): Promise<Handle> {
  const input: TuningInput = {
    modelName,
    dataset: 'flowers',
    trigger: 'manual',
    requestId: randomUUID(),
    space: searchSpaceSchema.parse({}),
    budget: searchBudgetSchema.parse({ trials: 9, minEpochs: 1, maxEpochs: 9, ...budget }),
  };
  return server.client.workflow.start<typeof tuneModel>('tuneModel', {
    workflowId: tuningWorkflowId(modelName),
    workflowIdConflictPolicy: 'USE_EXISTING',
    workflowRunTimeout: deadlineMs,
    taskQueue: 'pipeline',
    args: [input],
  });
}

interface World {
  handle: Handle;
  written: Written;
  /** Trials in the order in which they started. */
  begun: TrialInput[];
  ends: RungEnd[];
  closed: unknown[];
}

/** Runs `work` on a running search whose trials call `runTrialRung`. */
async function withSearch<T>(
  budget: Partial<SearchBudget>,
  replaced: Partial<AllActivities>,
  work: (world: World) => Promise<T>,
): Promise<T> {
  const begun: TrialInput[] = [];
  const ends: RungEnd[] = [];
  const closed: unknown[] = [];
  const { activities, written } = createFakeActivities({
    endRung: (end) => Promise.resolve(void ends.push(end)),
    closeSearch: (end) => Promise.resolve(void closed.push(end)),
    ...replaced,
    runTrialRung: (input) => {
      begun.push(input);
      return (replaced.runTrialRung ?? scoreOf)(input);
    },
  });
  return server.withWorkers(activities, async () =>
    work({ handle: await start(budget), written, begun, ends, closed }),
  );
}

/** The later a trial starts, the lower its loss. */
function scoreOf({ trial, epochs }: TrialInput): Promise<TrialScore> {
  return Promise.resolve({ epochs, bestEpoch: epochs - 1, loss: 1 / (trial.number + epochs), accuracy: 0.9 });
}

function diverge(): Promise<never> {
  return Promise.reject(ApplicationFailure.nonRetryable('It diverged.', 'training_diverged'));
}

/** Ends when its activity is cancelled, and fails if that never happens. */
async function untilCancelled(): Promise<never> {
  const { cancellationSignal, cancelled } = Context.current();
  const beats = setInterval(() => Context.current().heartbeat(), 500);
  try {
    cancellationSignal.throwIfAborted();
    return await Promise.race([cancelled, sleep(deadlineMs).then(() => Promise.reject(new Error('never cancelled')))]);
  } finally {
    clearInterval(beats);
  }
}

describe('tuneModel', () => {
  it('halves the trials rung by rung and trains the best in full', async () => {
    await withSearch({}, {}, async ({ handle, begun, ends, closed, written }) => {
      const result: TuningResult = await handle.result();
      expect(begun.map(({ rung }) => rung).sort()).toEqual([...Array<number>(9).fill(1), 2, 2, 2, 3]);
      expect(result).toMatchObject({ trials: 9, failed: 0, best: { number: 9 }, version: 1 });
      expect(ends.map(({ stopped }) => [...stopped].sort())).toEqual([[1, 2, 3, 4, 5, 6], [7, 8], []]);
      expect(ends.at(-1)).toMatchObject({ finished: [9], best: 9 });
      expect(closed).toMatchObject([{ searchId: handle.firstExecutionRunId, trained: { version: 1 } }]);
      const completed = written.steps.filter(({ status }) => status === 'completed').map(({ name }) => name);
      // Trials that begin together carry the same states.
      expect([...new Set(completed)]).toEqual(tuningSteps);
    });
  });

  it('trains with the hyperparameters of the best trial', async () => {
    const trained: unknown[] = [];
    const fitModel: AllActivities['fitModel'] = ({ hyperparameters }) => {
      trained.push(hyperparameters);
      return Promise.resolve({ bestEpoch: 3, epochs: 5, weightsSha256: 'a'.repeat(64) });
    };
    await withSearch({}, { fitModel }, async ({ handle, begun }) => {
      const { best } = await handle.result();
      const trial = begun.find((input) => input.trial.number === best.number);
      expect(trained).toEqual([trial?.trial.hyperparameters]);
      expect(best.hyperparameters).toEqual(trial?.trial.hyperparameters);
    });
  });

  it('names its steps and each trial in the Temporal Web UI', async () => {
    await withSearch({ trials: 2 }, {}, async ({ handle }) => {
      await handle.result();
      const { events } = await handle.fetchHistory();
      const summaries = (events ?? []).flatMap(({ userMetadata }) => {
        const data = userMetadata?.summary?.data;
        return data ? [String(JSON.parse(Buffer.from(data).toString()))] : [];
      });
      expect(new Set(summaries)).toEqual(new Set([...tuningSteps, 'trial 1, rung 1', 'trial 2, rung 1']));
    });
  });

  it.each([1, 3])('runs %d trials at once, no more and no fewer', async (parallel) => {
    let under = 0;
    let most = 0;
    const runTrialRung = async (input: TrialInput): Promise<TrialScore> => {
      under += 1;
      most = Math.max(most, under);
      // Wait until the limit is reached, and a moment longer for one too many; the last trial is alone.
      for (let waitedMs = 0; most < parallel && waitedMs < 10_000; waitedMs += 20) await sleep(20);
      await sleep(100);
      under -= 1;
      return scoreOf(input);
    };
    await withSearch({ parallel, trials: 4 }, { runTrialRung }, async ({ handle }) => {
      await handle.result();
      expect(most).toBe(parallel);
    });
  });

  it('continues without a failed trial, which counts as the worst', async () => {
    const runTrialRung = (input: TrialInput): Promise<TrialScore> =>
      input.trial.number === 9 ? diverge() : scoreOf(input);
    await withSearch({}, { runTrialRung }, async ({ handle, ends }) => {
      expect(await handle.result()).toMatchObject({ failed: 1, best: { number: 8 } });
      expect(ends[0]?.failed).toMatchObject([
        { input: { trial: { number: 9 } }, error: { code: 'training_diverged', message: 'It diverged.' } },
      ]);
    });
  });

  it('fails with the error of its first trial when none succeeds', async () => {
    await withSearch({}, { runTrialRung: diverge }, async ({ handle, written, closed }) => {
      await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
      expect(written.ends.at(-1)).toMatchObject({
        status: 'failed',
        error: { code: 'training_diverged' },
      });
      expect(written.ends.at(-1)?.error?.message).toMatch(/^None of 9 trials .* It diverged\.$/);
      expect(closed).toMatchObject([{ trained: null }]);
      expect(written.calls).not.toContain('fitModel');
    });
  });

  it('stops its trials and closes its record when it is cancelled in the middle', async () => {
    const ended: unknown[] = [];
    const runTrialRung = (input: TrialInput): Promise<TrialScore> =>
      input.trial.number <= 2
        ? scoreOf(input)
        : untilCancelled().catch((error: unknown) => {
            ended.push(error);
            throw error;
          });
    await withSearch({ parallel: 3 }, { runTrialRung }, async ({ handle, begun, written, closed }) => {
      await poll(
        () => Promise.resolve(begun.length),
        (count) => count === 5,
        deadlineMs,
      );
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
      expect(ended).toHaveLength(3);
      expect(ended.every((error) => error instanceof CancelledFailure)).toBe(true);
      expect(begun).toHaveLength(5);
      expect(closed).toEqual([{ searchId: handle.firstExecutionRunId, trained: null }]);
      expect(written.ends).toMatchObject([{ status: 'cancelled' }]);
    });
  });

  it('starts no trial after its time limit, and takes the best that ran', async () => {
    const runTrialRung = async (input: TrialInput): Promise<TrialScore> => {
      await sleep(50);
      return scoreOf(input);
    };
    const lasts = 0.02;
    const budget: Partial<SearchBudget> = { minutes: lasts, trials: 500, parallel: 2 };
    await withSearch(budget, { runTrialRung }, async ({ handle, begun, ends, written }) => {
      const result = await handle.result();
      // Brackets of nine: a full one takes thirteen trials of 50 ms and more, two at a time.
      expect(begun.length).toBeGreaterThan(2);
      expect(begun.length).toBeLessThan(100);
      const furthest = Math.max(...begun.map(({ epochs }) => epochs));
      const best = begun.filter(({ epochs }) => epochs === furthest).map(({ trial }) => trial.number);
      expect(result.best.number).toBe(Math.max(...best));
      expect(result.trials).toBe(new Set(begun.map(({ trial }) => trial.number)).size);
      expect(ends.length).toBeGreaterThan(0);
      expect(written.calls).toContain('registerModel');
    });
  });

  it('answers by query how many trials have started and which is the best so far', async () => {
    const runTrialRung = (input: TrialInput): Promise<TrialScore> =>
      input.trial.number <= 3 ? scoreOf(input) : untilCancelled();
    await withSearch({ parallel: 1 }, { runTrialRung }, async ({ handle, begun }) => {
      await poll(
        () => Promise.resolve(begun.length),
        (count) => count === 4,
        deadlineMs,
      );
      const { steps } = await handle.query<Progress>('progress');
      expect(steps.find(({ name }) => name === 'search')).toMatchObject({
        status: 'running',
        detail: '3 of 9 trials started, rung 1 (1 epochs), the best so far is trial 3 with a validation loss of 0.2500',
      });
      await handle.cancel();
      await handle.result().catch(() => undefined);
    });
  });

  it('extracts no features for networks that train on images alone', async () => {
    const { activities, written } = createFakeActivities();
    await server.withWorkers(activities, async () => {
      const space = searchSpaceSchema.parse({ architecture: ['cnn'] });
      const budget = searchBudgetSchema.parse({ trials: 1, maxEpochs: 3 });
      const named = { modelName: 'on_images', dataset: 'flowers', trigger: 'manual', requestId: randomUUID() } as const;
      await server.client.workflow.execute<typeof tuneModel>('tuneModel', {
        workflowId: tuningWorkflowId('on_images'),
        workflowRunTimeout: deadlineMs,
        taskQueue: 'pipeline',
        args: [{ ...named, space, budget }],
      });
    });
    expect(written.calls).not.toContain('extractFeatures');
  });

  it('has so few events a trial that 500 trials stay far below the size at which Temporal wants a new history', async () => {
    await withSearch({ trials: 30, parallel: 4 }, {}, async ({ handle, begun }) => {
      await handle.result();
      expect(begun).toHaveLength(30 + 10 + 4);
      const { historyLength } = await handle.describe();
      expect(historyLength / begun.length).toBeLessThan(10);
    });
  });
});
