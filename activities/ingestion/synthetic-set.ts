import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { drawSyntheticImage, syntheticLabels } from '../../model/images/synthetic.js';
import type { Config } from '../../platform/config.js';
import { concurrently } from '../../platform/concurrently.js';
import type { Report } from '../runtime/heartbeat.js';
import { exists, writeAtomically } from '../../model/write-atomically.js';

const imagesOfClass = 60;

export interface LocalSet {
  folder: string;
  note: string | null;
}

/** Draws the missing images of the synthetic set below PERENNIAL_HOME. */
export async function drawSyntheticSet(config: Config, report: Report, signal: AbortSignal): Promise<LocalSet> {
  const folder = join(config.PERENNIAL_HOME, 'datasets', 'synthetic');
  const wanted = syntheticLabels.flatMap((label) =>
    Array.from({ length: imagesOfClass }, (_, index) => ({ label, index })),
  );
  for (const label of syntheticLabels) await mkdir(join(folder, label), { recursive: true });
  let done = 0;
  await concurrently(
    wanted,
    availableParallelism(),
    async ({ label, index }) => {
      const path = join(folder, label, `${String(index).padStart(8, '0')}.jpg`);
      if (!(await exists(path))) await writeAtomically(path, await drawSyntheticImage(label, index));
      report({ drawn: ++done, of: wanted.length });
    },
    signal,
  );
  return {
    folder,
    note:
      'These images are synthetic: drawn, not photographed. Metrics on them say nothing about photographs. ' +
      'Set DATASET_DIR to a folder of class folders to use your own.',
  };
}
