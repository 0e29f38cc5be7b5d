import { setImmediate } from 'node:timers/promises';

interface Waiting<Question, Answer> {
  question: Question;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
}

/**
 * Answers single questions by one call of `load` for many: those that arrive while a call is under way wait for the next
 * one. A call that fails fails for all its questions.
 */
export function coalesce<Question, Answer>(
  load: (questions: Question[]) => Promise<(question: Question) => Answer>,
): (question: Question) => Promise<Answer> {
  const waiting: Waiting<Question, Answer>[] = [];
  let isLoading = false;
  const loadAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      // Questions of the same moment come together.
      await setImmediate();
      const batch = waiting.splice(0);
      try {
        const answerTo = await load(batch.map(({ question }) => question));
        for (const { question, resolve } of batch) resolve(answerTo(question));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    isLoading = false;
  };
  return (question) =>
    new Promise((resolve, reject) => {
      waiting.push({ question, resolve, reject });
      if (isLoading) return;
      isLoading = true;
      void loadAll();
    });
}
