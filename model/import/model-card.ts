import type { ImportOrder } from '../../contracts/registry/import.js';
import type { RegisteredVersion, ReportedMetrics } from '../../contracts/registry/registry.js';
import type { ModelMetrics } from '../../contracts/training/training.js';
import { classTable, measuresTable, plain } from '../export/model-card.js';
import type { ImportedModel } from '../jobs.js';

export interface ImportCardInput {
  order: ImportOrder;
  /** The version that had no file before; null for a new one. */
  reported: Pick<RegisteredVersion, 'description' | 'reportedMetrics'> | null;
  checked: ImportedModel & { datasetVersion: number };
  metrics: ModelMetrics;
  /** Digest of the dataset version. */
  digest: string;
}

/** The model card of an uploaded model, including what is not known about it. Markdown. */
export function writeImportCard({ order, reported, checked, metrics, digest }: ImportCardInput): string {
  const { test } = metrics;
  const description = order.description === '' ? (reported?.description ?? '') : order.description;
  const [low, high] = test.intervals.accuracy;
  return [
    `# ${order.modelName}`,
    '',
    `Classifies photographs as ${checked.labels.map((label) => `"${plain(label)}"`).join(', ')}.`,
    `An external model, uploaded as ${order.format === 'onnx' ? 'ONNX' : 'TF.js layers'} by ${plain(order.by.name)}.`,
    ...(description === '' ? [] : ['', plain(description)]),
    '',
    '## How good it is',
    '',
    `Measured through the serving engine on ${test.images} test images; in brackets the 95 % bootstrap interval.`,
    'It is not known whether it was trained on some of them; if so, it is less accurate on other images.',
    '',
    ...measuresTable(metrics),
    '',
    ...classTable(test),
    '',
    'Probabilities are those of the model; they were not calibrated.',
    '',
    ...describeReported(reported?.reportedMetrics ?? null),
    '## Data',
    '',
    `Measured on dataset \`${order.dataset}\`, version ${checked.datasetVersion} (digest \`${digest}\`).`,
    'Its training data is not known.',
    '',
    '## Upload',
    '',
    ...order.files.map(({ name, sizeBytes, sha256 }) => `- ${plain(name)}: ${sizeBytes} bytes, SHA-256 \`${sha256}\``),
    ...checked.notes.map((note) => `- ${plain(note)}`),
    describeParity(checked),
    '',
    '## Limits',
    '',
    '- It knows only the classes above and answers with one of them for any image, even one that shows none of them.',
    '- Images are resized to 224×224 pixels without keeping their aspect ratio; small details are lost.',
    `- With ${test.images} test images the 95 % interval of the accuracy is ${low.toFixed(3)} to ${high.toFixed(3)}.`,
    '- It is served in 32 bits: only models that Perennial trained are quantized to 8.',
    '- How it was trained, and for what purpose, is not known.',
    '',
    '## Licences',
    '',
    order.licence === null
      ? '- Not known: the uploader named none. Find out before you use the model.'
      : `- As stated by the uploader: ${plain(order.licence)}. This was not verified.`,
    '',
  ].join('\n');
}

/** What a client measured before it sent the file. */
function describeReported(reported: ReportedMetrics | null): string[] {
  if (reported === null) return [];
  return [
    '## What was reported',
    '',
    'These figures came with the registration. They were measured elsewhere, on images that are not known.',
    '',
    ...['| reported measure | value |', '| --- | --- |'],
    ...Object.entries(reported).map(([name, value]) => `| ${plain(name).replaceAll(/\s+/g, ' ')} | ${value} |`),
    '',
  ];
}

function describeParity({ parityMaxAbsoluteError: error }: ImportedModel): string {
  if (error === null)
    return '- The graph is the uploaded one with adapted inputs and outputs: there is no source to compare it with.';
  return `- Its probabilities as ONNX differ by at most ${error.toExponential(1)} from those TF.js gives.`;
}
