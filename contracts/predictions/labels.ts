/** Decisions on an image: its label, cannot be decided, unusable. */
export const labelDecisions = ['label', 'skip', 'reject'] as const;
export type LabelDecisionKind = (typeof labelDecisions)[number];

/** Orders of the label queue. */
export const labelStrategies = ['balanced', 'uncertainty', 'disagreement', 'newest'] as const;
export type LabelStrategy = (typeof labelStrategies)[number];

/** Why an image is in the label queue. */
export const labelReasons = [
  'uncertain',
  'abstained',
  'unfamiliar',
  'neighbour_disagrees',
  'people_disagree',
  'versions_disagree',
] as const;
export type LabelReason = (typeof labelReasons)[number];
