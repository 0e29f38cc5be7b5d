import type { Client } from '@temporalio/client';
import { optionalDateToTs, requiredTsToDate } from '@temporalio/common/lib/time.js';
import { PerennialError } from '../../../contracts/errors.js';

export interface TimeQuestion {
  namespace: string;
  scheduleId: string;
  from: Date;
  to: Date;
  /** Maximum number of times in an answer. */
  limit: number;
}

/**
 * The due times of a schedule between two times, as computed by Temporal. Throws `bad_request` for more than `limit`.
 */
export async function matchingTimes(client: Client, question: TimeQuestion): Promise<string[]> {
  const times: number[] = [];
  for (let begin = question.from.getTime(); begin < question.to.getTime();) {
    const found = await ask(client, question, begin);
    times.push(...found);
    if (times.length > question.limit) throw tooMany(question);
    const last = found.at(-1);
    if (last === undefined) break;
    begin = last + 1;
  }
  return times.map((time) => new Date(time).toISOString());
}

/** The next due times from `begin` on; Temporal returns at most a thousand per call. */
async function ask(client: Client, { namespace, scheduleId, to }: TimeQuestion, begin: number): Promise<number[]> {
  const { startTime } = await client.workflowService.listScheduleMatchingTimes({
    namespace,
    scheduleId,
    startTime: optionalDateToTs(new Date(begin)) ?? null,
    endTime: optionalDateToTs(to) ?? null,
  });
  return startTime.map((time) => requiredTsToDate(time, 'startTime').getTime());
}

function tooMany({ scheduleId, limit }: TimeQuestion): PerennialError {
  return new PerennialError(
    'bad_request',
    `${scheduleId} was due more than ${limit} times between these two. Ask for a shorter time, one part after the other.`,
  );
}
