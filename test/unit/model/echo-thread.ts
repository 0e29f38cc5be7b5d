import { z } from 'zod';
import { PerennialError } from '../../../contracts/errors.js';
import { answerQuestions } from '../../../model/worker-thread.js';

/** A thread for a test: answers after so many milliseconds, refuses negative ones, and ends itself at zero. */
answerQuestions(z.number(), async (ms) => {
  if (ms < 0) throw new PerennialError('undecodable_image', 'No time is negative.');
  if (ms === 0) process.exit(1);
  await new Promise((resolve) => setTimeout(resolve, ms));
  return ms;
});
