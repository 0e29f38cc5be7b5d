import { startTrainer, type Trainer } from '../../../../activities/runtime/model-process.js';
import { createTrainerPool } from '../../../../activities/training/trainer-pool.js';
import { createLogger } from '../../../../platform/logging.js';
import { poll } from '../../../support/api-client.js';
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
