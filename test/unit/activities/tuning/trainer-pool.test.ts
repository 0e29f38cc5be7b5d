import { startTrainer, type Trainer } from '../../../../activities/runtime/model-process.js';
import { createTrainerPool } from '../../../../activities/training/trainer-pool.js';
import { createLogger } from '../../../../platform/logging.js';
import { isAlive } from '../../../../platform/process-temp-folder.js';
import { poll } from '../../../support/api-client.js';
import { trainerOf } from '../../../support/trainer-process.js';
import { createFeatureSet, withFolder } from '../../../support/training-fixtures.js';

const logger = createLogger('test', 'silent');
const itself = (trainer: Trainer): Promise<Trainer> => Promise.resolve(trainer);

describe('a trainer that is lent', () => {
  it('is the same for the job that follows, and gone after the last one', async () => {
    const keeper = createTrainerPool(logger);
    const first = await keeper.lend(itself, { isFollowed: true });
    expect(first.isAlive()).toBe(true);
    expect(await keeper.lend(itself, { isFollowed: false })).toBe(first);
    expect(first.isAlive()).toBe(false);
  });

  it('is gone when its work fails', async () => {
    const keeper = createTrainerPool(logger);
    const lent: Trainer[] = [];
    const work = (trainer: Trainer): Promise<never> => {
      lent.push(trainer);
      return Promise.reject(new Error('no images'));
    };
    await expect(keeper.lend(work, { isFollowed: true })).rejects.toThrow('no images');
    expect(lent.map((trainer) => trainer.isAlive())).toEqual([false]);
  });

  it('is replaced by a new one when it has died meanwhile', async () => {
    const keeper = createTrainerPool(logger);
    const first = await keeper.lend(itself, { isFollowed: true });
    await first.stop();
    const second = await keeper.lend(itself, { isFollowed: true });
    expect(second).not.toBe(first);
    expect(second.isAlive()).toBe(true);
    await keeper.close();
    expect(second.isAlive()).toBe(false);
  });

  it('was started in advance, once, if one was prepared', async () => {
    const keeper = createTrainerPool(logger);
    keeper.prepare();
    keeper.prepare();
    const prepared = await trainerOf(process.pid);
    const first = await keeper.lend(itself, { isFollowed: true });
    expect(first.pid).toBe(prepared);
    await keeper.close();
    expect(first.isAlive()).toBe(false);
  });

  it('is the only one, although another is asked for while it works', async () => {
    const keeper = createTrainerPool(logger);
    const first = await keeper.lend(
      (trainer) => {
        keeper.prepare();
        return itself(trainer);
      },
      { isFollowed: false },
    );
    expect(first.isAlive()).toBe(false);
    await expect(trainerOf(process.pid, 0)).rejects.toThrow();
  });

  it('is replaced when the prepared one has died', async () => {
    const keeper = createTrainerPool(logger);
    keeper.prepare();
    const prepared = await trainerOf(process.pid);
    process.kill(prepared, 'SIGKILL');
    await poll(
      () => Promise.resolve(isAlive(prepared)),
      (alive) => !alive,
    );
    const lent = await keeper.lend(itself, { isFollowed: false });
    expect(lent.pid).not.toBe(prepared);
  });

  it('exits when it was prepared for a job that never comes', async () => {
    const keeper = createTrainerPool(logger, 1);
    keeper.prepare();
    await poll(
      () =>
        trainerOf(process.pid, 0).then(
          () => true,
          () => false,
        ),
      (isThere) => !isThere,
    );
  });

  it('exits when no job follows', async () => {
    const keeper = createTrainerPool(logger, 1);
    const trainer = await keeper.lend(itself, { isFollowed: true });
    await poll(
      () => Promise.resolve(trainer.isAlive()),
      (isAlive) => !isAlive,
    );
  });

  it('reports that it died before it had a job', () =>
    withFolder(async (folder) => {
      const trainer = startTrainer(logger);
      await trainer.stop();
      const job = { ...(await createFeatureSet(folder, {})), checkpointPath: null, outputFolder: folder };
      const work = trainer.run(job, { signal: new AbortController().signal });
      await expect(work).rejects.toMatchObject({ code: 'trainer_died' });
    }));
});
