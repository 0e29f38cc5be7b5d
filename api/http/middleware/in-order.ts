import type { NextFunction, RequestHandler } from 'express';

/**
 * One handler that runs several, each when the one before has called `next`. Express looks at the path, changes it and
 * restores it around each handler of its own, which takes longer than most of ours.
 */
export function inOrder(...handlers: readonly RequestHandler[]): RequestHandler {
  return (request, response, next) => {
    let at = 0;
    const step: NextFunction = (error?: unknown) => {
      const handler = handlers[at++];
      if (error !== undefined || handler === undefined) next(error);
      else void handler(request, response, step);
    };
    step();
  };
}
