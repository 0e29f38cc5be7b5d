import type { IngestionInput } from '../../contracts/datasets/ingestion.js';
import { invalidRequest } from '../http/problems.js';

/** The part of an ingestion's input that asks for a training afterwards; empty without `then_train`. */
export function trainingOf(
  { then_train: isWanted, model_name }: { then_train: boolean; model_name?: string | undefined },
  defaultModel: string,
): Pick<IngestionInput, 'thenTrain'> {
  if (isWanted) return { thenTrain: { modelName: model_name ?? defaultModel } };
  if (model_name === undefined) return {};
  throw invalidRequest([
    { pointer: '#/model_name', detail: 'names the model to train, so send `then_train`: true too' },
  ]);
}
