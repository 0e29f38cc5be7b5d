import { createHook, executionAsyncId } from 'node:async_hooks';
import { createTemporalLink } from '../../../api/workflows/temporal-link.js';

/**
 * Prints as JSON whether Node follows every promise: while a hook is enabled, before the first call to Temporal at
 * `process.argv[2]`, and after calls that succeed and fail. A process of its own, because the connections of other suites
 * have such hooks.
 */
const link = createTemporalLink({
  address: process.argv[2] ?? '',
  namespace: 'default',
  apiKey: undefined,
  tls: false,
});
const hook = createHook({ init: () => undefined }).enable();
const whileEnabled = await followsPromises();
hook.disable();
const before = await followsPromises();
await link.probe();
await Promise.all([link.probe(), link.probe(), link.probe()]);
const afterCalls = await followsPromises();
await link.use(() => Promise.reject(new Error('a failed call'))).catch(() => undefined);
const afterFailure = await followsPromises();
console.log(JSON.stringify({ whileEnabled, before, afterCalls, afterFailure }));
await link.close();

/** Node gives each promise an id of its own only while a hook follows them. */
async function followsPromises(): Promise<boolean> {
  await Promise.resolve();
  const first = executionAsyncId();
  await Promise.resolve();
  return executionAsyncId() !== first;
}
