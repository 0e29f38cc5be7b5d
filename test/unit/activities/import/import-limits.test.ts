import onnxProto, { type onnx as shapes } from 'onnx-proto';
import { runModelJob } from '../../../../activities/runtime/model-process.js';
import { attributes, floatTensor, integerTensor, node, valueInfo } from '../../../../model/export/onnx-parts.js';
import type { ImportedModel, ImportJob } from '../../../../model/jobs.js';
import { createLogger } from '../../../../platform/logging.js';
import { tinyGraph } from '../../../support/tiny-graph.js';
import { withFolder } from '../../../support/training-fixtures.js';
import { importJobOf, refusalOf, writeUploads } from '../../../support/uploaded-models.js';

const { onnx } = onnxProto;
const { FLOAT } = onnx.TensorProto.DataType;
const plenty = { memoryBytes: 8e9, timeMs: 60_000 };

/** Imports a graph in a separate process. */
function take(graph: Uint8Array, limits: ImportJob['limits']): Promise<ImportedModel> {
  return withFolder(async (folder) => {
    const files = await writeUploads(folder, { 'net.onnx': graph });
    const job = { ...importJobOf(files, folder), limits };
    return runModelJob(job, { signal: new AbortController().signal, logger: createLogger('test', 'silent') });
  });
}

/** A small file whose graph creates two square matrices of this side and multiplies them repeatedly. */
function greedy(side: number, times: number): Uint8Array {
  const products = Array.from({ length: times }, (_, at): shapes.INodeProto => {
    return node('MatMul', [at === 0 ? 'square' : `product${at - 1}`, 'square'], `product${at}`);
  });
  const graph = {
    name: 'greedy',
    node: [
      node('GlobalAveragePool', ['image'], 'pooled'),
      node('Reshape', ['pooled', 'flat'], 'row'),
      // Made from the image, or it would be computed but once.
      node('ReduceMax', ['row'], 'number', attributes({ keepdims: 0 })),
      node('Mul', ['number', 'tiny'], 'small'),
      node('Expand', ['small', 'sides'], 'square'),
      ...products,
      node('ReduceMax', [`product${times - 1}`], 'most', attributes({ keepdims: 0 })),
      node('Mul', ['row', 'most'], 'probabilities'),
    ],
    initializer: [
      integerTensor('flat', [0, -1]),
      integerTensor('sides', [side, side]),
      floatTensor('tiny', [], Float32Array.of(1e-9)),
    ],
    input: [valueInfo('image', FLOAT, ['N', 3, 224, 224])],
    output: [valueInfo('probabilities', FLOAT, ['N', 3])],
  };
  const model = onnx.ModelProto.create({ irVersion: 8, opsetImport: [{ domain: '', version: 13 }], graph });
  return onnx.ModelProto.encode(model).finish();
}

describe('the process that tries an uploaded model', () => {
  it('accepts a model that stays within its limits', async () => {
    expect((await take(tinyGraph(3, 0), plenty)).labels).toHaveLength(3);
  });

  it('ends with an error when the model takes too much memory', async () => {
    const { code, message } = await refusalOf(take(greedy(16_000, 1), { ...plenty, memoryBytes: 6e8 }));
    expect(code).toBe('trainer_died');
    expect(message).toContain('600 MB');
  });

  it('ends with an error when the model takes too long', async () => {
    const { code, message } = await refusalOf(take(greedy(3_000, 50), { ...plenty, timeMs: 1_000 }));
    expect(code).toBe('trainer_died');
    expect(message).toContain('within 1 seconds');
  });
});
