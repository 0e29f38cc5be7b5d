import { PerennialError } from '../../contracts/errors.js';
import type { AllActivities } from './fake-activities.js';

/** A fault right before an activity does its work, or right after, before Temporal gets the result. */
export interface Fault {
  activity: string;
  moment: 'before' | 'after';
  strike(): unknown;
}

/** Ends the attempt, as a dead worker does: Temporal retries the activity. */
export function attemptDies(): never {
  throw new PerennialError('internal', 'The worker died here.');
}

/** Wraps the activities so that each fault in `faults` occurs once; the lists may be filled while they run. */
export function withFaults(activities: AllActivities, faults: Fault[]): AllActivities {
  const strike = async (name: string | symbol, moment: Fault['moment']): Promise<void> => {
    const index = faults.findIndex((fault) => fault.activity === name && fault.moment === moment);
    const [fault] = index < 0 ? [] : faults.splice(index, 1);
    await fault?.strike();
  };
  return new Proxy(activities, {
    get(target, name): unknown {
      const activity: unknown = Reflect.get(target, name);
      if (typeof activity !== 'function') return activity;
      return async (...args: unknown[]): Promise<unknown> => {
        await strike(name, 'before');
        const result: unknown = await Reflect.apply(activity, target, args);
        await strike(name, 'after');
        return result;
      };
    },
  });
}
