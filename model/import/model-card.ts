import type { ImportOrder } from '../../contracts/registry/import.js';
import type { ModelMetrics } from '../../contracts/training/training.js';
import { classTable, measuresTable, plain } from '../export/model-card.js';
import type { ImportedModel } from '../jobs.js';

export interface ImportCardInput {
  order: ImportOrder;
  checked: ImportedModel & { datasetVersion: number };
  metrics: ModelMetrics;
  /** Digest of the dataset version. */
  digest: string;
}

/** The text that tells a person what an uploaded model is, and what nobody here knows of it. Markdown. */
export function writeImportCard({ order, checked, metrics, digest }: ImportCardInput): string {
  const { test } = metrics;
  const [low, high] = test.intervals.accuracy;
  return [
    `# ${order.modelName}`,
    '',
    `Tells ${checked.labels.map((label) => `"${plain(label)}"`).join(', ')} apart in photographs.`,
    `A model from elsewhere, uploaded as ${order.format === 'onnx' ? 'ONNX' : 'TF.js layers'} by ${plain(order.by.name)}.`,
    ...(order.description === '' ? [] : ['', plain(order.description)]),
    '',
    '## How good it is',
    '',
    `Measured through the serving engine on ${test.images} test images; in brackets the 95 % bootstrap interval.`,
    'Nobody here knows whether it was trained on some of them: then it does worse on others.',
    '',
    ...measuresTable(metrics),
    '',
    ...classTable(test),
    '',
    'Probabilities are as the model gives them; they were not calibrated here.',
    '',
    '## Data',
    '',
    `Measured on dataset \`${order.dataset}\`, version ${checked.datasetVersion} (digest \`${digest}\`).`,
    'What it was trained on is not known here.',
    '',
    '## How it came in',
    '',
    ...order.files.map(({ name, sizeBytes, sha256 }) => `- ${plain(name)}: ${sizeBytes} bytes, SHA-256 \`${sha256}\``),
    ...checked.notes.map((note) => `- ${plain(note)}`),
    describeParity(checked),
    '',
    '## Limits',
    '',
    '- It knows only the classes above and gives one of them for any image, also for one that shows neither.',
    '- Images are brought to 224×224 pixels without regard to their proportions; small details are lost.',
    `- With ${test.images} test images the accuracy is known no better than ${low.toFixed(3)} to ${high.toFixed(3)}.`,
    '- It is served in 32 bits: only networks trained here are brought to 8.',
    '- How it was trained, and for what, only those know who made it.',
    '',
    '## Licences',
    '',
    order.licence === null
      ? '- Not known: whoever uploaded it named none. Find out before it is used.'
      : `- As whoever uploaded it says: ${plain(order.licence)}. Nobody here has checked that.`,
    '',
  ].join('\n');
}

function describeParity({ parityMaxAbsoluteError: error }: ImportedModel): string {
  if (error === null)
    return '- The graph is the one that was uploaded, with ends of ours: there is no source to compare it with.';
  return `- Its probabilities as ONNX differ by at most ${error.toExponential(1)} from those TF.js gives.`;
}
