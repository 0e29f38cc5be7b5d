import { setImmediate as nextRound, setTimeout as sleep } from 'node:timers/promises';
import { ParseQueue } from '../../../../../api/inference/tensors/parse-queue.js';

/** Keeps the event loop busy. */
function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe('turns at keeping the event loop busy', () => {
  it('come in the order they were asked for, with a round of the event loop before each', async () => {
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

  it('tell who comes how long it would wait, from how long others took', async () => {
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

  it('are charged with what is done in them, not with what else the event loop has to do', async () => {
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

  it('forget a body that comes too slowly to hold anybody up', async () => {
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
