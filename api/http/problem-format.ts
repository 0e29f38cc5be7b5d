import type { Problem } from '../../contracts/http/problem.js';

/** How problems are told below a path. */
export interface Dialect {
  contentType: string;
  /** The problem with what the clients of such paths look for. */
  tell(problem: Problem): object;
}

const plain: Dialect = { contentType: 'application/problem+json', tell: (problem) => problem };

/** The Open Inference Protocol's: its clients read `error`, and expect plain JSON. */
const inference: Dialect = {
  contentType: 'application/json',
  tell: (problem) => ({ ...problem, error: problem.detail }),
};

/** The dialect of a path. One object serves both: `error` is an extension member of the problem. */
export function dialectOf(path: string): Dialect {
  return /^\/v2(\/|$)/i.test(path) ? inference : plain;
}
