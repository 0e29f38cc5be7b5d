import type { Problem } from '../../contracts/http/problem.js';

/** How problems are told below a path. */
export interface ProblemFormat {
  contentType: string;
  /** The problem with what the clients of such paths look for. */
  render(problem: Problem): object;
}

const plain: ProblemFormat = { contentType: 'application/problem+json', render: (problem) => problem };

/** The Open Inference Protocol's: its clients read `error`, and expect plain JSON. */
const inference: ProblemFormat = {
  contentType: 'application/json',
  render: (problem) => ({ ...problem, error: problem.detail }),
};

/** The dialect of a path. One object serves both: `error` is an extension member of the problem. */
export function problemFormatOf(path: string): ProblemFormat {
  return /^\/v2(\/|$)/i.test(path) ? inference : plain;
}
