import { proxyActivities } from '@temporalio/workflow';

const { nothing } = proxyActivities<{ nothing(): Promise<void> }>({ startToCloseTimeout: '1 min' });

/** The least that Temporal can do for a workflow of that many steps: activities one after another, and no record of them. */
export async function bareSteps(steps: number): Promise<void> {
  for (let step = 0; step < steps; step += 1) await nothing();
}
