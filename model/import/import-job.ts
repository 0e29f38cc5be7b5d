import { hash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { largeModelBytes } from '../../contracts/registry/import.js';
import { largestDifference, parityTolerance } from '../export/difference.js';
import { decodeBatches } from '../features/decode-batches.js';
import { pixelBytes } from '../images/decode.js';
import type { ImportedModel, ImportJob } from '../jobs.js';
import { createRandom } from '../seeded-random.js';
import { readSignature, type GraphSignature } from './graph-signature.js';
import { guardProcess } from './guard.js';
import { readOnnx, type PlainModel } from './read-onnx.js';
import { layersRefusal, refusal } from './refusal.js';
import { checkSingleScore } from './single-score.js';
import { tryOnnx } from './try-onnx.js';
import { wrapOnnx, type Wrapping } from './wrap-onnx.js';

/**
 * Checks an uploaded model and writes the graph that is served. The file is validated before any of it runs, then run
 * on photographs and noise; a converted TF.js model must agree with TF.js.
 * @throws PerennialError bundle_invalid, with what is wrong and what to do
 */
export async function importModel(job: ImportJob): Promise<ImportedModel> {
  const stopGuard = await guardProcess(job.limits);
  try {
    return await checkModel(job);
  } finally {
    await stopGuard();
  }
}

async function checkModel(job: ImportJob): Promise<ImportedModel> {
  const source = await readSource(job);
  const labels = [...job.labels].sort();
  const order = labels.map((label) => job.labels.indexOf(label));
  const signature = readSignature(source.model.graph, labels.length);
  if (signature.isSingle) checkSingleScore(source.model.graph, signature.scores, job.output);
  const wrapping: Wrapping = { signature, scaling: job.scaling, output: job.output, order };
  const bytes = wrapOnnx(source.model, wrapping);
  const sample = await drawSample(job);
  const probabilities = await tryOnnx(bytes, sample.pixels, sample.count, labels.length);
  const parityMaxAbsoluteError = await source.compare(probabilities, sample, order);
  await writeFile(job.outputPath, bytes);
  return {
    labels,
    sha256: hash('sha256', bytes),
    sizeBytes: bytes.length,
    parityMaxAbsoluteError,
    notes: describe(job, signature, bytes.length),
  };
}

interface Sample {
  /** RGB 0–255, image after image. */
  pixels: Uint8Array;
  count: number;
}

interface Source {
  model: PlainModel;
  /** The largest difference of a probability from that of the model's own runtime; null where there is none. */
  compare(probabilities: Float32Array, sample: Sample, order: readonly number[]): Promise<number | null>;
}

async function readSource(job: ImportJob): Promise<Source> {
  if (job.format === 'tfjs') return readLayers(job);
  const [file] = job.files;
  if (!file || job.files.length > 1) throw refusal('An ONNX model must be a single file.', 'Send only that file.');
  return { model: readOnnx(await readFile(file.path)), compare: () => Promise.resolve(null) };
}

const modelFileName = 'model.json';
const maxModelFileBytes = 20_000_000;

async function readLayers({ files, scaling, output }: ImportJob): Promise<Source> {
  // TensorFlow is loaded only for models that need it.
  const [{ readLayersModelFile }, { readWeights }, { convertLayers }, { runLayers }] = await Promise.all([
    import('./layers-model-file.js'),
    import('./read-weights.js'),
    import('./convert-layers.js'),
    import('./run-layers.js'),
  ]);
  const pathOf = new Map(files.map(({ name, path }) => [name, path]));
  const text = await readFile(pathOf.get(modelFileName) ?? '', 'utf8');
  if (text.length > maxModelFileBytes) throw layersRefusal('The model.json is larger than 20 MB.');
  const file = readLayersModelFile(text);
  const { model, weights } = convertLayers(file.layers, await readWeights(file, pathOf));
  return {
    model,
    async compare(probabilities, { pixels, count }, order) {
      const run = { layers: file.layers, weights, scaling, output, order };
      const difference = largestDifference(await runLayers(run, pixels, count), probabilities);
      if (difference <= parityTolerance) return difference;
      throw layersRefusal(
        `The converted model differs from TF.js by up to ${difference.toExponential(2)}, the limit is ${parityTolerance}.`,
      );
    },
  };
}

const noises = 4;
const seed = 4;

/** The job's photographs and some noise. */
async function drawSample({ images }: ImportJob): Promise<Sample> {
  const count = images.length + noises;
  const pixels = new Uint8Array(count * pixelBytes);
  for await (const batch of decodeBatches(images, Math.max(1, images.length))) pixels.set(batch.pixels);
  const random = createRandom(seed);
  for (let at = images.length * pixelBytes; at < pixels.length; at++) pixels[at] = Math.floor(random() * 256);
  return { pixels, count };
}

function describe(
  { format, scaling, output, labels: [first, second] }: ImportJob,
  { input, isSingle, features }: GraphSignature,
  sizeBytes: number,
): string[] {
  const megabytes = (sizeBytes / 1e6).toFixed(1);
  return [
    ...(format === 'tfjs' ? ['The TF.js layers model was converted to ONNX.'] : []),
    ...(format === 'onnx' && input.channelsFirst
      ? ['The graph expects channels first: a transposition was added before it.']
      : []),
    ...(scaling
      ? [`Pixels are scaled by (pixel - ${String(scaling.mean)}) / ${String(scaling.std)} within the graph.`]
      : []),
    ...(output === 'logits' ? [`A ${isSingle ? 'sigmoid' : 'softmax'} was added after its logits.`] : []),
    ...(isSingle ? [`Its single output is the probability of “${second}”; the rest to 1 is that of “${first}”.`] : []),
    ...(features === null ? ['The graph has no features output: drift can only be detected in its predictions.'] : []),
    ...(sizeBytes > largeModelBytes ? [`The served file has ${megabytes} MB; predictions may be slow.`] : []),
  ];
}
