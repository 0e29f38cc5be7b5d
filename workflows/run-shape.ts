import { patched } from '@temporalio/workflow';

/** How runs of this release differ from those that began with an earlier one. A run keeps the shape it began with. */
interface RunShape {
  /** Activities carry the states of steps, and a retraining runs in one workflow. */
  readonly carriesSteps: boolean;
  /** Short activities run in the worker of the workflow. */
  readonly isLocal: boolean;
}

/** A workflow that does not choose runs as it always did. */
let chosen: RunShape = { carriesSteps: false, isLocal: false };

/** Chooses the shape of this run; called at the beginning of a workflow. */
export function chooseShape(): RunShape {
  const isLocal = patched('local-steps');
  chosen = { isLocal, carriesSteps: isLocal || patched('fewer-tasks') };
  return chosen;
}

export function shapeOfRun(): RunShape {
  return chosen;
}
