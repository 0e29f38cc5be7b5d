import onnxProto, { type onnx as shapes } from 'onnx-proto';
import { importLabelsSchema } from '../../../../contracts/registry/import.js';
import { floatTensor, integerTensor, node, valueInfo } from '../../../../model/export/onnx-parts.js';
import { refusalOf, takeGraph } from '../../../support/uploaded-models.js';

const { onnx } = onnxProto;
const { FLOAT } = onnx.TensorProto.DataType;

const logits = { output: 'logits' } as const;

function encode(graph: shapes.IGraphProto): Uint8Array {
  const input = [valueInfo('image', FLOAT, ['N', 3, 224, 224])];
  const opsetImport = [{ domain: '', version: 17 }];
  return onnx.ModelProto.encode({ irVersion: 8, opsetImport, graph: { name: 'net', input, ...graph } }).finish();
}

describe('an uploaded ONNX graph with a single output', () => {
  const labels = ['rose', 'dandelion'];
  /** As Keras exports a binary classifier: the score is the mean of red minus 127.5, through `ends`. */
  const binary = (ends: readonly string[], output = valueInfo('score', FLOAT, ['N', 1])): Uint8Array =>
    encode({
      node: [
        node('GlobalAveragePool', ['image'], 'pooled'),
        node('Reshape', ['pooled', 'flat'], 'colours'),
        node('Gemm', ['colours', 'weight', 'bias'], ends.length === 0 ? 'score' : 'end0'),
        ...ends.map((op, at) => node(op, [`end${at}`], at === ends.length - 1 ? 'score' : `end${at + 1}`)),
      ],
      initializer: [
        integerTensor('flat', [0, -1]),
        floatTensor('weight', [3, 1], Float32Array.of(0.01, 0, 0)),
        floatTensor('bias', [1], Float32Array.of(-0.5)),
      ],
      output: [output],
    });
  const probability = 1 / (1 + Math.exp(-(255 * 0.01 - 0.5)));

  it.each([
    ['[N,1]', valueInfo('score', FLOAT, ['N', 1])],
    ['an undeclared width', valueInfo('score', FLOAT, ['N', 'M'])],
    ['[N,1,1]', valueInfo('score', FLOAT, ['N', 1, 1])],
  ])('of %s is the probability of the second label, also when labels are sorted', async (_form, output) => {
    const { labels: sorted, answer, notes } = await takeGraph(binary(['Sigmoid'], output), { labels });
    expect(sorted).toEqual(['dandelion', 'rose']);
    expect(answer[0]).toBeCloseTo(probability, 5);
    expect(answer[1]).toBeCloseTo(1 - probability, 5);
    expect(notes.join(' ')).toContain('the probability of “dandelion”; the rest to 1 is that of “rose”');
  });

  it('without a second dimension is one too', async () => {
    const { answer } = await takeGraph(binary(['Sigmoid', 'Squeeze'], valueInfo('score', FLOAT, ['N'])), {
      labels: ['dandelion', 'rose'],
    });
    expect(answer[1]).toBeCloseTo(probability, 5);
  });

  it('that is a logit gets a sigmoid', async () => {
    const { answer, notes } = await takeGraph(binary([]), { ...logits, labels });
    expect(answer[0]).toBeCloseTo(probability, 5);
    expect(notes.join(' ')).toContain('A sigmoid was added');
  });

  it.each([
    ['a logit sent as a probability', [], { labels }, /ends in Gemm.*Send output=logits/],
    ['a probability sent as a logit', ['Sigmoid'], { labels, ...logits }, /ends in Sigmoid.*Omit output=logits/],
    ['a score beyond 0 and 1', ['Exp'], { labels }, /not probabilities.*output=logits/],
    ['a tanh', ['Tanh'], { labels }, /ends in Tanh.*neither a probability nor a logit.*end in a sigmoid/],
    ['a softmax over one number', ['Softmax'], { labels, ...logits }, /ends in Softmax.*neither.*end in a sigmoid/],
    ['three labels', ['Sigmoid'], {}, /1 number per image, but 3 labels.*exactly two labels/],
  ])('is refused: %s', async (_what, ends, changes, message) => {
    const { code, message: said } = await refusalOf(takeGraph(binary(ends), changes));
    expect(code).toBe('bundle_invalid');
    expect(said).toMatch(message);
  });

  it.each([
    ['half precision', valueInfo('score', onnx.TensorProto.DataType.FLOAT16, ['N', 1]), /is float16 \[any,1\]\./],
    ['a number for each position', valueInfo('score', FLOAT, ['N', 1, 7, 7]), /is float \[any,1,7,7\]\./],
  ])('of %s is refused with both shapes that are accepted', async (_what, output, says) => {
    const { message } = await refusalOf(takeGraph(binary(['Sigmoid'], output), { labels }));
    expect(message).toMatch(says);
    expect(message).toContain('a float32 output [N,2], or [N,1] with the probability of the second label');
  });

  it('needs both labels, and one message says so', () => {
    expect(importLabelsSchema.safeParse(['rose']).error?.issues.map(({ message }) => message)).toEqual([
      expect.stringMatching(/single sigmoid output send both classes: the output is the probability of the second/),
    ]);
  });
});
