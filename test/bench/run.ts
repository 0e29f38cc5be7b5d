import { benchMainPath } from './main-path.js';
import { benchThroughput } from './throughput.js';

const datasetDir = process.env['DATASET_DIR'];
if (!datasetDir) {
  process.stderr.write(
    'Set DATASET_DIR to a folder of class folders with photographs: these figures are about real ones.\n',
  );
  process.exit(2);
}
const parts = process.argv.slice(2);
const wanted = (part: string): boolean => parts.length === 0 || parts.includes(part);
if (wanted('throughput')) await benchThroughput(datasetDir);
if (wanted('main-path')) await benchMainPath(datasetDir, wanted('cnn'));
