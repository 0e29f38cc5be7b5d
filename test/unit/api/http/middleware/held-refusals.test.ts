import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeldRefusals } from '../../../../../api/http/middleware/held-refusals.js';

/** Refuses `count` requests; returns which have been answered so far. */
function refuse(refusals: HeldRefusals, count: number, deadlineAt?: number): { seen: number[]; all: ServerResponse[] } {
  const seen: number[] = [];
  const all = Array.from({ length: count }, (_, at) => {
    const response = new ServerResponse(new IncomingMessage(new Socket()));
    refusals.hold(response, () => seen.push(at), deadlineAt);
    return response;
  });
  return { seen, all };
}

/** At such a pace no turn comes during a test. */
const slow = { perSecond: 1e-3, longestMs: Infinity, mostHeld: 3 };

describe('refusals of overload', () => {
  it('leave at once after a quiet time, as many as a second has turns', () => {
    const refusals = new HeldRefusals({ perSecond: 4, longestMs: Infinity, mostHeld: 100 }, () => 5_000);
    expect(refuse(refusals, 10).seen).toEqual([0, 1, 2, 3]);
    expect(refusals.held).toBe(6);
    refusals.release();
  });

  it('beyond that leave in their order, one per turn of the clock', async () => {
    let now = 5_000;
    const refusals = new HeldRefusals({ perSecond: 100, longestMs: 1_000, mostHeld: 100 }, () => now);
    const { seen } = refuse(refusals, 103);
    expect(seen).toHaveLength(100);
    await sleep(50);
    expect(seen).toHaveLength(100);
    now += 20;
    while (seen.length < 102) await sleep(5);
    await sleep(50);
    expect(seen.slice(100)).toEqual([100, 101]);
    refusals.release();
  });

  it('wait for a limited time, however many they are', async () => {
    let now = 5_000;
    const refusals = new HeldRefusals({ perSecond: 10, longestMs: 200, mostHeld: 1_000 }, () => now);
    const { seen } = refuse(refusals, 500);
    expect(seen).toHaveLength(10);
    now += 200;
    while (seen.length < 500) await sleep(5);
    expect(refusals.held).toBe(0);
  });

  it('wait in bounded number: one more loses its connection and hurries none', () => {
    const refusals = new HeldRefusals(slow, () => 0);
    const { seen, all } = refuse(refusals, 5);
    expect([refusals.held, refusals.room, seen]).toEqual([3, 0, []]);
    expect(all.map(({ destroyed }) => destroyed)).toEqual([false, false, false, true, true]);
    refusals.release();
    expect([seen, refusals.room]).toEqual([[0, 1, 2], Infinity]);
  });

  it('say when there is room for one more', () => {
    const refusals = new HeldRefusals(slow, () => 0);
    const rooms: number[] = [];
    refusals.onRoom(() => rooms.push(refusals.room));
    const { all } = refuse(refusals, 3);
    all[0]?.emit('close');
    all[1]?.emit('close');
    expect(rooms).toEqual([1, 2]);
    refusals.release();
  });

  it('are answered by the deadline of their client', async () => {
    const refusals = new HeldRefusals(slow);
    const { seen } = refuse(refusals, 2, performance.now() + 20);
    expect(seen).toEqual([]);
    while (seen.length < 2) await sleep(5);
    expect(refusals.held).toBe(0);
  });

  it('are forgotten when their client leaves', () => {
    const refusals = new HeldRefusals(slow, () => 0);
    const { seen, all } = refuse(refusals, 2);
    all[0]?.emit('close');
    expect(refusals.held).toBe(1);
    refusals.release();
    expect(seen).toEqual([1]);
  });

  it('are all answered when the API shuts down, later ones at once', () => {
    const refusals = new HeldRefusals(slow, () => 0);
    const held = refuse(refusals, 3);
    refusals.release();
    expect([held.seen, refusals.held]).toEqual([[0, 1, 2], 0]);
    expect(refuse(refusals, 2).seen).toEqual([0, 1]);
  });
});
