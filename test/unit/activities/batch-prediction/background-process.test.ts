import { startBackgroundProcess } from '../../../../activities/batch-prediction/background-process.js';
import { createLogger } from '../../../../platform/logging.js';
import { patternImage } from '../../../support/ingestion-fixture.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';
import { writeTinyBundle } from '../../../support/tiny-bundle.js';

const bundleFolder = temporaryFolder();
const limits = { maxPixels: 50_000_000, maxBytes: 1_000_000, minSide: 8 };

it('ends a background process that does not answer', async () => {
  await writeTinyBundle(bundleFolder);
  const logger = createLogger('test', 'silent');
  const child = await startBackgroundProcess({ bundleFolder, limits, variant: 'fp32', logger, answerMs: 20_000 });
  try {
    expect((await child.predict(await patternImage(1))).probabilities).toHaveLength(2);
    if (child.pid === undefined) throw new Error('The process has no id.');
    process.kill(child.pid, 'SIGSTOP');
    await expect(child.predict(await patternImage(2))).rejects.toMatchObject({ code: 'trainer_died' });
    expect(child.isAlive()).toBe(false);
  } finally {
    await child.stop();
  }
}, 60_000);
