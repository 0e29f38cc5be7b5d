import { defineSearchAttributeKey, SearchAttributeType, type SearchAttributePair } from '@temporalio/common';

const keys = {
  model: defineSearchAttributeKey('MlModel', SearchAttributeType.KEYWORD),
  dataset: defineSearchAttributeKey('MlDataset', SearchAttributeType.KEYWORD),
  trigger: defineSearchAttributeKey('MlTrigger', SearchAttributeType.KEYWORD),
  stage: defineSearchAttributeKey('MlStage', SearchAttributeType.KEYWORD),
};

/** The Temporal search attributes of a run. */
export function attributesOf(
  input: { dataset: string | null; trigger: string },
  modelName: string | null,
): SearchAttributePair[] {
  return [
    ...(input.dataset === null ? [] : [{ key: keys.dataset, value: input.dataset }]),
    { key: keys.trigger, value: input.trigger },
    { key: keys.stage, value: 'start' },
    ...(modelName === null ? [] : [{ key: keys.model, value: modelName }]),
  ];
}
