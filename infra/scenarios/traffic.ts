import { setTimeout as sleep } from 'node:timers/promises';
import { createApiClient } from '../local/api-client.js';
import { predict } from './steps.js';
import type { DrawnImage } from '../images/drawn-images.js';
import { FailedExpectation, type Harness } from './harness.js';

/** A constant load of predictions, as in production. */
export interface Traffic {
  /** Waits until `good` answers again after `bad` has answered, and measures the time in between. */
  waitForRollback(bad: string, good: string): Promise<Outage>;
  /** Number of predictions without an answer. */
  failures(): number;
  stop(): Promise<void>;
}

export interface Outage {
  /** From the first answer of the bad version to the next answer of the good one. */
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

/** Predicts the images one after the other in a loop until it is stopped. No request is retried. */
export function sendTraffic({ apiUrl, signal }: Harness, images: readonly DrawnImage[]): Traffic {
  const stopping = new AbortController();
  const until = AbortSignal.any([signal, stopping.signal]);
  const api = createApiClient(apiUrl, until, { attempts: 1 });
  const answers: Answer[] = [];
  let failures = 0;
  const isOver = (): boolean => until.aborted;
  const send = async (): Promise<void> => {
    for (let index = 0; !isOver(); index += 1) {
      const image = images[index % images.length];
      try {
        const [seen] = image ? await predict({ api }, [image]) : [];
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
      throw new FailedExpectation(`version ${good} answers again within ${patience.totalMs / 1000} s`);
    },
    async stop() {
      stopping.abort();
      await sent;
    },
  };
}

function measureOutage(answers: readonly Answer[], bad: string, good: string): Outage | null {
  const first = answers.findIndex(({ version }) => version === bad);
  const since = first === -1 ? [] : answers.slice(first);
  const recovered = since.find(({ version }) => version === good);
  if (recovered === undefined) return null;
  const ofBad = since.filter(({ version }) => version === bad);
  return {
    durationMs: recovered.atMs - (since[0]?.atMs ?? recovered.atMs),
    predictions: ofBad.length,
    meanConfidence: meanOf(ofBad.map(({ confidence }) => confidence)),
  };
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
