import type { Decision, Retirement } from '../../contracts/registry/registry.js';

/** A decision on a version of a retired model: a pipeline alone does not bring the model back, a person must approve. */
export function askWhileRetired(decision: Decision, retirement: Retirement | null): Decision {
  if (!retirement || decision.outcome !== 'promote') return decision;
  const { at, by } = retirement;
  return {
    ...decision,
    outcome: 'needs_approval',
    summary: `Needs approval: the model was retired by ${by} at ${at}.`,
  };
}
