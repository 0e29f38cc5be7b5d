/** What a run is: a training on its way to the registry, a trial of a search, a model that came from elsewhere. */
export const runKinds = ['training', 'trial', 'import'] as const;
export type RunKind = (typeof runKinds)[number];
