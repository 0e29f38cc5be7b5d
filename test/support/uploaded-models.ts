import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCodeOf, messageOf } from '../../contracts/errors.js';
import { pixelBytes } from '../../model/images/decode.js';
import { importModel } from '../../model/import/import-job.js';
import { tryOnnx } from '../../model/import/try-onnx.js';
import type { ImportedModel, ImportJob } from '../../model/jobs.js';
import { tf } from '../../model/tensorflow.js';
import { withFolder } from './training-fixtures.js';

export type UploadedFiles = ImportJob['files'];

/** Writes uploaded files into `folder`, under the names that an import gives them. */
export async function writeUploads(
  folder: string,
  contents: Readonly<Record<string, string | Uint8Array>>,
): Promise<UploadedFiles> {
  await mkdir(folder, { recursive: true });
  const entries = Object.entries(contents).map(([name, content], index) => ({
    name,
    path: join(folder, String(index)),
    content,
  }));
  for (const { path, content } of entries) await writeFile(path, content);
  return entries.map(({ name, path }) => ({ name, path }));
}

/** An import of these files, with three labels that are not in order. */
export function importJobOf(files: UploadedFiles, folder: string): ImportJob {
  return {
    kind: 'import',
    format: files.some(({ name }) => name === 'model.json') ? 'tfjs' : 'onnx',
    files,
    labels: ['rose', 'dandelion', 'grass'],
    scaling: null,
    output: 'probabilities',
    images: [],
    outputPath: join(folder, 'model.onnx'),
    limits: { memoryBytes: 8e9, timeMs: 60_000 },
  };
}

/** Saves a layers model as TF.js does, with its weights in two shards; `edit` may change the text of model.json. */
export async function saveLayers(
  model: tf.LayersModel,
  folder: string,
  { quantise = false, edit = (json) => json }: { quantise?: boolean; edit?: (json: string) => string } = {},
): Promise<UploadedFiles> {
  let contents: Record<string, string | Uint8Array> = {};
  await model.save(
    tf.io.withSaveHandler(({ modelTopology, weightSpecs, weightData }) => {
      const bytes = new Uint8Array(tf.io.CompositeArrayBuffer.join(weightData));
      const weights = quantise ? weightSpecs?.map((spec) => ({ ...spec, quantization })) : weightSpecs;
      const data = quantise ? bytesOf(bytes) : bytes;
      const half = Math.floor(data.length / 2);
      contents = {
        'model.json': edit(
          JSON.stringify({
            format: 'layers-model',
            modelTopology,
            weightsManifest: [{ paths: ['group1-shard1of2.bin', 'group1-shard2of2.bin'], weights }],
          }),
        ),
        'group1-shard1of2.bin': data.subarray(0, half),
        'group1-shard2of2.bin': data.subarray(half),
      };
      return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } });
    }),
  );
  return writeUploads(folder, contents);
}

const quantization = { dtype: 'uint8', scale: 1 / 128, min: -0.75 };

/** Maps every float to its quantized byte. */
function bytesOf(data: Uint8Array): Uint8Array {
  const floats = new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
  return Uint8Array.from(floats, (value) => Math.min(255, Math.max(0, Math.round((value + 0.75) * 128))));
}

/** Imports a graph and returns the result, with its output for an image that is all red. */
export async function takeGraph(
  graph: Uint8Array,
  changes: Partial<ImportJob> = {},
): Promise<ImportedModel & { answer: number[] }> {
  return withFolder(async (folder) => {
    const files = await writeUploads(folder, { 'net.onnx': graph });
    const job = { ...importJobOf(files, folder), ...changes };
    const imported = await importModel(job);
    const red = Uint8Array.from({ length: pixelBytes }, (_, at) => (at % 3 === 0 ? 255 : 0));
    const answer = await tryOnnx(await readFile(join(folder, 'model.onnx')), red, 1, job.labels.length);
    return { ...imported, answer: [...answer] };
  });
}

/** Returns the error of work that must fail. */
export async function refusalOf(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  return work.then(
    () => ({ code: 'none', message: 'it did not fail' }),
    (error: unknown) => ({ code: errorCodeOf(error), message: messageOf(error) }),
  );
}
