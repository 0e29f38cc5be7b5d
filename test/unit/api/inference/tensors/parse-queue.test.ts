import { setImmediate as nextRound, setTimeout as sleep } from 'node:timers/promises';
import { ParseQueue } from '../../../../../api/inference/tensors/parse-queue.js';

/** Blocks the event loop. */
function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe('the queue for parsing on the event loop', () => {
  it('grants slots in the order of their requests, with an event-loop turn before each', async () => {
    const queue = new ParseQueue();
    const seen: string[] = [];
    let isOver = false;
    const look = async (): Promise<void> => {
      while (!isOver) {
        seen.push('loop');
        await nextRound();
      }
    };
    const looking = look();
    const turns = ['a', 'b', 'c'].map(async (name) => {
      await queue.turn();
      seen.push(name);
    });
    await Promise.all(turns);
    isOver = true;
    await looking;
    expect(seen.filter((each) => each !== 'loop')).toEqual(['a', 'b', 'c']);
    expect(seen.join(' ')).toMatch(/a loop( loop)* b loop( loop)* c/);
  });

  it('estimates the wait of a new body from the duration of earlier ones', async () => {
    const queue = new ParseQueue();
    expect(queue.backlogMs).toBe(0);
    for (let turn = 0; turn < 30; turn += 1) {
      await queue.turn();
      work(4);
      await nextRound();
    }
    expect(queue.backlogMs).toBe(0);
    const [oneTurn, leave] = [queue.turn(), queue.announce()];
    const both = queue.backlogMs;
    expect(both).toBeGreaterThan(2 * 3);
    leave();
    leave();
    expect(queue.backlogMs).toBeCloseTo(both / 2);
    await oneTurn;
    expect(queue.backlogMs).toBe(0);
  });

  it('measures the work in a slot, not other work of the event loop', async () => {
    const queue = new ParseQueue();
    for (let turn = 0; turn < 20; turn += 1) {
      await queue.turn();
      setTimeout(() => work(15), 0);
      work(2);
      await sleep(5);
    }
    queue.announce();
    expect(queue.backlogMs).toBeGreaterThan(0.5);
    expect(queue.backlogMs).toBeLessThan(8);
  });

  it('does not count a body that arrives too slowly to delay others', async () => {
    const queue = new ParseQueue();
    await queue.turn();
    work(5);
    await nextRound();
    const leave = queue.announce();
    expect(queue.backlogMs).toBeGreaterThan(0);
    await sleep(200);
    expect(queue.backlogMs).toBe(0);
    leave();
    expect(queue.backlogMs).toBe(0);
  });
});
