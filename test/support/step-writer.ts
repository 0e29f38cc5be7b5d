import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { writeCarriedSteps, type RecordActivities } from '../../activities/runtime/records.js';

/** Writes the states of steps that activities carry, as the interceptor of a worker does. */
export function stepWriter(records: Pick<RecordActivities, 'enterSteps'>): ActivityInterceptorsFactory {
  return () => ({
    inbound: {
      async execute(input, next) {
        await writeCarriedSteps(input.headers, records);
        return next(input);
      },
    },
  });
}
