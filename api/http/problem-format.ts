import type { Problem } from '../../contracts/http/problem.js';

/** Format of problems below a path. */
export interface ProblemFormat {
  contentType: string;
  /** Adds the fields that clients of these paths expect. */
  render(problem: Problem): object;
}

const plain: ProblemFormat = { contentType: 'application/problem+json', render: (problem) => problem };

/** The format of the Open Inference Protocol: clients read `error` and expect application/json. */
const inference: ProblemFormat = {
  contentType: 'application/json',
  render: (problem) => ({ ...problem, error: problem.detail }),
};

/** The problem format of a path. `error` is an extension member of the problem, so one object serves both. */
export function problemFormatOf(path: string): ProblemFormat {
  return /^\/v2(\/|$)/i.test(path) ? inference : plain;
}
