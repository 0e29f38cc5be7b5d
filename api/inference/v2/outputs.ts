import {
  v2OutputNames,
  type V2Datatype,
  type V2OutputName,
  type V2RequestedOutput,
} from '../../../contracts/inference/http-v2.js';
import type { Predicted } from '../predictor.js';
import type { Question } from './question.js';

/** An output tensor; `values` in row-major order. */
export interface OutputTensor {
  name: V2OutputName;
  datatype: V2Datatype;
  shape: number[];
  values: readonly (number | string | boolean)[];
  isBinary: boolean;
}

type Maker = (predicted: readonly Predicted[]) => Pick<OutputTensor, 'datatype' | 'shape' | 'values'>;

/** Outputs with one element per image. */
function column(datatype: V2Datatype, valueOf: (predicted: Predicted) => number | string | boolean): Maker {
  return (predicted) => ({ datatype, shape: [predicted.length], values: predicted.map(valueOf) });
}

const makers: Readonly<Record<V2OutputName, Maker>> = {
  probabilities: (predicted) => ({
    datatype: 'FP32',
    shape: [predicted.length, predicted[0]?.prediction.probabilities.length ?? 0],
    values: predicted.flatMap(({ prediction }) => prediction.probabilities),
  }),
  label: column('BYTES', ({ prediction }) => prediction.label),
  confidence: column('FP32', ({ prediction }) => prediction.confidence),
  abstained: column('BOOL', ({ abstained }) => abstained),
  unfamiliar: column('BOOL', ({ prediction }) => prediction.oodScore?.outOfDistribution ?? false),
  prediction_id: column('BYTES', ({ predictionId }) => predictionId),
};

/** The requested outputs in the order of the request, or all. */
export function makeOutputs(predicted: readonly Predicted[], request: Question): OutputTensor[] {
  const isBinary = request.parameters?.binary_data_output ?? false;
  const all = v2OutputNames.map((name): V2RequestedOutput => ({ name }));
  const wanted = request.outputs && request.outputs.length > 0 ? request.outputs : all;
  return wanted.map(({ name, parameters }) => ({
    name,
    ...(name === 'probabilities' && parameters?.classification
      ? makeRanking(predicted, parameters.classification)
      : makers[name](predicted)),
    isBinary: parameters?.binary_data ?? isBinary,
  }));
}

/** The classification extension: the most probable classes as `probability:index:label`. */
function makeRanking(predicted: readonly Predicted[], wanted: number): ReturnType<Maker> {
  const rows = predicted.map(({ prediction, served }) =>
    prediction.probabilities
      .map((probability, index) => ({ probability, index, label: served.engine.labels[index] ?? '' }))
      .sort((one, other) => other.probability - one.probability)
      .slice(0, wanted)
      .map(({ probability, index, label }) => `${probability.toFixed(6)}:${index}:${label}`),
  );
  return { datatype: 'BYTES', shape: [rows.length, rows[0]?.length ?? 0], values: rows.flat() };
}

/** Output metadata of a model with this many classes. */
export function describeOutputs(classes: number): { name: V2OutputName; datatype: V2Datatype; shape: number[] }[] {
  return v2OutputNames.map((name) => ({
    name,
    datatype: makers[name]([]).datatype,
    shape: name === 'probabilities' ? [-1, classes] : [-1],
  }));
}
