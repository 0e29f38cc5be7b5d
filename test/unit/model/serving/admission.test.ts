import fc from 'fast-check';
import { createRandom } from '../../../../model/seeded-random.js';
import { refusalOf, shedReasonOf, type Load } from '../../../../model/serving/admission.js';

const now = 1_000;
const target = { queueLimit: 100, latencyTargetMs: 100 };

/** A request for one image at a time when both threads are busy. */
function loadOf(part: Partial<Load>): Load {
  return {
    lane: 'interactive',
    images: 1,
    deadlineAt: Infinity,
    waiting: part.beforeFirst ?? 0,
    beforeFirst: 0,
    beforeLast: part.beforeFirst ?? 0,
    working: 2,
    threads: 2,
    free: false,
    imageMs: 10,
    elapsedMs: 0,
    ...part,
  };
}

/** Why it is refused, or null. */
function reasonOf(part: Partial<Load>, options = target): unknown {
  const error = refusalOf(loadOf(part), options, now);
  return error === null ? null : (error.details['reason'] ?? error.code);
}

interface Simulated {
  refused: number;
  latenciesMs: number[];
}

/**
 * Clients that send their next request as soon as they have an answer, a refused one a moment later, on two threads that
 * take `imageMs` for an image, more or less by a quarter. The times are simulated.
 */
function simulate(clients: number, imageMs: number, requests: number): Simulated {
  const random = createRandom(7);
  const arrivals = Array.from({ length: clients }, (_, at) => at * 0.1);
  const [queue, ends]: [number[], { at: number; arrivedAt: number; tookMs: number }[]] = [[], []];
  const found: Simulated = { refused: 0, latenciesMs: [] };
  let averageMs = imageMs;
  for (let handled = 0; handled < requests;) {
    arrivals.sort((one, other) => one - other);
    ends.sort((one, other) => one.at - other.at);
    const clock = Math.min(arrivals[0] ?? Infinity, ends[0]?.at ?? Infinity);
    if (ends[0]?.at === clock) {
      const { arrivedAt, tookMs } = ends.shift() ?? { arrivedAt: 0, tookMs: 0 };
      averageMs = 0.9 * averageMs + 0.1 * tookMs;
      found.latenciesMs.push(clock - arrivedAt);
      arrivals.push(clock);
    } else {
      arrivals.shift();
      handled += 1;
      const load = { beforeFirst: queue.length, working: ends.length, free: ends.length < 2, imageMs: averageMs };
      const isRefused = reasonOf(load) !== null;
      found.refused += isRefused ? 1 : 0;
      if (isRefused) arrivals.push(clock + 1);
      else queue.push(clock);
    }
    while (ends.length < 2 && queue.length > 0) {
      const tookMs = imageMs * (0.75 + 0.5 * random());
      ends.push({ at: clock + tookMs, arrivedAt: queue.shift() ?? 0, tookMs });
    }
  }
  return found;
}

describe('admission', () => {
  it('serves all of sixteen clients that send their next request at once, up to 8 ms for an image on two threads', () => {
    for (const imageMs of [3, 6, 8]) expect(simulate(16, imageMs, 3_000).refused).toBe(0);
  });

  it('keeps the admitted within the target while it refuses most, however fast the threads are', () => {
    for (const imageMs of [3, 6, 9, 20, 40]) {
      const { refused, latenciesMs } = simulate(256, imageMs, 20_000);
      expect(refused).toBeGreaterThan(5_000);
      expect(Math.max(...latenciesMs)).toBeLessThan(100);
    }
  });

  it('accepts what can be answered within the target and refuses what is behind too many images', () => {
    expect(reasonOf({ beforeFirst: 5 })).toBeNull();
    expect(reasonOf({ beforeFirst: 30 })).toBe('latency_target');
    expect(reasonOf({ beforeFirst: 30 }, { ...target, latencyTargetMs: 0 })).toBeNull();
  });

  it('says when to retry', () => {
    const error = refusalOf(loadOf({ beforeFirst: 90, imageMs: 100 }), target, now);
    expect(error?.details['retryAfterSeconds']).toBe(5);
    expect(refusalOf(loadOf({ beforeFirst: 30 }), target, now)?.details['retryAfterSeconds']).toBe(1);
  });

  it('accepts any request for a free thread, however slow recent images were', () => {
    expect(reasonOf({ free: true, imageMs: 5_000 })).toBeNull();
    expect(reasonOf({ imageMs: null, beforeFirst: 50 })).toBeNull();
  });

  it('applies the queue limit to background work, but not the latency target', () => {
    expect(reasonOf({ lane: 'background', beforeFirst: 90 })).toBeNull();
    expect(reasonOf({ lane: 'background', waiting: 100 })).toBe('queue_full');
  });

  it('accepts one request above the queue limit when nothing waits, and no other behind it', () => {
    expect(reasonOf({ images: 5_000, beforeLast: 0 })).toBeNull();
    expect(reasonOf({ images: 5_000, waiting: 1 })).toBe('queue_full');
    expect(reasonOf({ images: 1, waiting: 5_000 })).toBe('queue_full');
  });

  it('refuses at once what cannot be done by its deadline, and what is late already', () => {
    expect(reasonOf({ deadlineAt: now + 40, beforeFirst: 10 }, { ...target, latencyTargetMs: 0 })).toBe('deadline');
    expect(reasonOf({ deadlineAt: now + 400, beforeFirst: 10 }, { ...target, latencyTargetMs: 0 })).toBeNull();
    expect(reasonOf({ deadlineAt: now, free: true })).toBe('deadline_exceeded');
  });

  it('never accepts a request while it refuses one with fewer images ahead', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(200), fc.double({ min: 0.1, max: 200, noNaN: true }), (one, other, imageMs) => {
        const [fewer, more] = [Math.min(one, other), Math.max(one, other)];
        const taken = reasonOf({ beforeFirst: more, imageMs }) === null;
        return !taken || reasonOf({ beforeFirst: fewer, imageMs }) === null;
      }),
    );
  });

  it('counts the latency so far, for a free thread as well', () => {
    expect(reasonOf({ beforeFirst: 5, elapsedMs: 45 })).toBe('latency_target');
    expect(reasonOf({ beforeFirst: 1, elapsedMs: 45 })).toBeNull();
    expect(reasonOf({ free: true, elapsedMs: 90 })).toBe('latency_target');
    expect(reasonOf({ free: true, elapsedMs: 60 })).toBeNull();
  });

  it('reads from an error why a request was refused', () => {
    expect(shedReasonOf(refusalOf(loadOf({ beforeFirst: 30 }), target, now))).toBe('latency_target');
    expect(shedReasonOf(new Error('another'))).toBe('queue_full');
  });
});
