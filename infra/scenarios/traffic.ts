import { setTimeout as sleep } from 'node:timers/promises';
import { createApiClient } from '../local/api-client.js';
import { predict } from './steps.js';
import type { DrawnImage } from './drawn-images.js';
import { FailedAssertion, type Harness } from './harness.js';

/** Predictions that go on and on, as in production. */
export interface Traffic {
  /** Waits until `good` answers again after `bad` has answered, and tells of the time between. */
  waitForRollback(bad: string, good: string): Promise<Outage>;
  /** Predictions that got no answer. */
  failures(): number;
  stop(): Promise<void>;
}

export interface Outage {
  /** From the first answer of the bad version to the next one of the good. */
  durationMs: number;
  predictions: number;
  meanConfidence: number;
}

interface Answer {
  version: string;
  confidence: number;
  atMs: number;
}

const pauseMs = 20;
const patience = { totalMs: 60_000, pollMs: 20 };

/** Predicts the pictures one after the other, over and over, until it is stopped. No request is tried twice. */
export function sendTraffic({ apiUrl, signal }: Harness, pictures: readonly DrawnImage[]): Traffic {
  const stopping = new AbortController();
  const until = AbortSignal.any([signal, stopping.signal]);
  const api = createApiClient(apiUrl, until, { attempts: 1 });
  const answers: Answer[] = [];
  let failures = 0;
  const isOver = (): boolean => until.aborted;
  const send = async (): Promise<void> => {
    for (let index = 0; !isOver(); index += 1) {
      const picture = pictures[index % pictures.length];
      try {
        const [seen] = picture ? await predict({ api }, [picture]) : [];
        if (seen) answers.push({ ...seen.answer, version: seen.answer.model_version, atMs: performance.now() });
        await sleep(pauseMs, undefined, { signal: until });
      } catch {
        if (!isOver()) failures += 1;
      }
    }
  };
  const sent = send();
  return {
    failures: () => failures,
    async waitForRollback(bad, good) {
      const deadline = Date.now() + patience.totalMs;
      while (Date.now() < deadline) {
        const times = measureOutage(answers, bad, good);
        if (times) return times;
        await sleep(patience.pollMs, undefined, { signal });
      }
      throw new FailedAssertion(`version ${good} answers again within ${patience.totalMs / 1000} s`);
    },
    async stop() {
      stopping.abort();
      await sent;
    },
  };
}

function measureOutage(answers: readonly Answer[], bad: string, good: string): Outage | null {
  const first = answers.findIndex(({ version }) => version === bad);
  const after = first === -1 ? [] : answers.slice(first);
  const back = after.find(({ version }) => version === good);
  if (back === undefined) return null;
  const ofBad = after.filter(({ version }) => version === bad);
  return {
    durationMs: back.atMs - (after[0]?.atMs ?? back.atMs),
    predictions: ofBad.length,
    meanConfidence: meanOf(ofBad.map(({ confidence }) => confidence)),
  };
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
