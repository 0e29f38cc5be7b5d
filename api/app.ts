import express, { type Express } from 'express';
import { acceptBasePath } from './http/base-path.js';
import { createMemoryBudget } from './http/body/memory-budget.js';
import { closeUnreadBodies } from './http/middleware/drain.js';
import { shareMemory } from './http/middleware/limit-body.js';
import { answerNotFound, answerProblems } from './http/middleware/answer-problems.js';
import { allowHosts } from './http/middleware/allowed-hosts.js';
import { refuseForeignOrigins } from './http/middleware/foreign-origins.js';
import { HeldRefusals } from './http/middleware/held-refusals.js';
import { inOrder } from './http/middleware/in-order.js';
import { identify } from './http/middleware/identify.js';
import { observe } from './http/middleware/observe.js';
import { requireHost } from './http/middleware/require-host.js';
import { secureHeaders } from './http/middleware/secure-headers.js';
import { mountRoutes } from './http/route.js';
import { createRoutes, type ApiDependencies } from './routes.js';

/** Maximum bytes of request bodies in memory, over all requests. */
const memoryBudgetBytes = 256_000_000;

/** The HTTP application, which does not listen yet. Refusals of overload leave it at the pace of `refusals`. */
export function createApp(dependencies: ApiDependencies, refusals = new HeldRefusals()): Express {
  const { logger, metrics, settings } = dependencies;
  const app = express();
  app.disable('x-powered-by');
  const memory = createMemoryBudget({ totalBytes: memoryBudgetBytes, onShed: () => metrics.countShed('memory') });
  app.use(
    inOrder(
      ...[identify, acceptBasePath(settings.basePath), observe(logger, metrics), secureHeaders, requireHost],
      ...[allowHosts(settings.allowedHosts), refuseForeignOrigins(settings.ownOrigins)],
      ...[closeUnreadBodies(), shareMemory(memory)],
    ),
  );
  mountRoutes(app, createRoutes(dependencies).routes);
  app.use(answerNotFound);
  app.use(answerProblems(logger, refusals));
  return app;
}
