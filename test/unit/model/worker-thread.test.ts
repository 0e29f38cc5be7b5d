import { z } from 'zod';
import { startThread, type WorkerThread } from '../../../model/worker-thread.js';

function start(): WorkerThread<number, number> {
  return startThread(new URL('./echo-thread.js', import.meta.url), z.number());
}

describe('a worker thread', () => {
  it('gives each question its own answer, whichever comes first', async () => {
    const thread = start();
    expect(await Promise.all([thread.ask(40), thread.ask(1), thread.ask(20)])).toEqual([40, 1, 20]);
    expect(thread.waiting()).toBe(0);
    await thread.end();
  });

  it('throws the failure of a question with its code, and answers the others', async () => {
    const thread = start();
    const [refused, other] = await Promise.allSettled([thread.ask(-1), thread.ask(2)]);
    expect(refused).toMatchObject({ reason: { code: 'undecodable_image', message: 'No time is negative.' } });
    expect(other).toMatchObject({ value: 2 });
    await thread.end();
  });

  it('answers what it was asked before it ends', async () => {
    const thread = start();
    const answer = thread.ask(30);
    await thread.end();
    expect(await answer).toBe(30);
  });

  it('leaves no question without an answer when it dies', async () => {
    const thread = start();
    const answers = await Promise.allSettled([thread.ask(60_000), thread.ask(0)]);
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(thread.hasEnded()).toBe(true);
    await expect(thread.ask(1)).rejects.toThrow('ended');
  });
});
