/** Kinds of runs: a training for the registry, a trial of a search, an import. */
export const runKinds = ['training', 'trial', 'import'] as const;
export type RunKind = (typeof runKinds)[number];
