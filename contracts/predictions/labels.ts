/** What can be said of a picture: what it shows, that one cannot tell, that it is of no use. */
export const labelDecisions = ['label', 'skip', 'reject'] as const;
export type LabelDecisionKind = (typeof labelDecisions)[number];

/** What the queue puts first. */
export const labelStrategies = ['balanced', 'uncertainty', 'disagreement', 'newest'] as const;
export type LabelStrategy = (typeof labelStrategies)[number];

/** Why a picture is worth asking for. */
export const labelReasons = [
  'uncertain',
  'abstained',
  'unfamiliar',
  'neighbour_disagrees',
  'people_disagree',
  'versions_disagree',
] as const;
export type LabelReason = (typeof labelReasons)[number];
