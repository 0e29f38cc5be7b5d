import { setTimeout as sleep } from 'node:timers/promises';
import type { Chaos } from './chaos.js';
import type { TestStack } from './stack.js';

const victims = ['pipeline', 'training', 'api', 'postgres'] as const;
type Victim = (typeof victims)[number];

export interface ProcessKiller {
  /** Stops killing, waits until everything runs again, and returns how often each process was killed. */
  stop(): Promise<Record<Victim, number>>;
}

const pauseMs = { least: 3_000, most: 9_000 };
const downMs = { least: 200, most: 2_500 };
const startMs = 60_000;
/** Probability that two processes are killed at the same time. */
const pairProbability = 0.25;

/** Kills random processes (workers, API, Postgres) with SIGKILL at random times and restarts them shortly afterwards. */
export function startProcessKiller(stack: TestStack, chaos: Chaos): ProcessKiller {
  const killed: Record<Victim, number> = { pipeline: 0, training: 0, api: 0, postgres: 0 };
  const over = new AbortController();
  const next = drawing(victims, chaos);
  const kill = async (victim: Victim): Promise<void> => {
    killed[victim] += 1;
    const awayMs = chaos.between(downMs.least, downMs.most);
    await within(startMs, victim, victim === 'postgres' ? crash(stack, awayMs) : restart(stack, victim, awayMs));
  };
  const ended = (async (): Promise<void> => {
    for (;;) {
      await sleep(chaos.between(pauseMs.least, pauseMs.most), undefined, { signal: over.signal }).catch(
        () => undefined,
      );
      if (over.signal.aborted) return;
      const first = next();
      const second = chaos.between(0, 1) < pairProbability ? next() : first;
      await Promise.all([...new Set([first, second])].map(kill));
    }
  })();
  // `stop` rethrows the error.
  ended.catch(() => undefined);
  return {
    async stop() {
      over.abort();
      await ended;
      return killed;
    },
  };
}

/** Draws items in random order, each once per round. */
function drawing<T>(all: readonly [T, ...T[]], chaos: Chaos): () => T {
  let left: T[] = [];
  return () => {
    const [first, ...rest] = left;
    const drawn = first === undefined ? chaos.oneOf(all) : chaos.oneOf([first, ...rest]);
    left = (first === undefined ? all : left).filter((each) => each !== drawn);
    return drawn;
  };
}

async function restart(stack: TestStack, victim: Exclude<Victim, 'postgres'>, awayMs: number): Promise<void> {
  await stack.kill(victim);
  await sleep(awayMs);
  await stack.start(victim);
}

async function crash({ services: { postgres } }: TestStack, awayMs: number): Promise<void> {
  process.kill(postgres.pid(), 'SIGKILL');
  await postgres.pause();
  await sleep(awayMs);
  await postgres.resume();
}

async function within(limitMs: number, victim: Victim, work: Promise<void>): Promise<void> {
  const tooLate = sleep(limitMs, undefined, { ref: false }).then(() => {
    throw new Error(`${victim} was not restarted within ${String(limitMs)} ms`);
  });
  tooLate.catch(() => undefined);
  await Promise.race([work, tooLate]);
}
