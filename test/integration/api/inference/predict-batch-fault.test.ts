import { createApp } from '../../../../api/app.js';
import { listen } from '../../../../api/http/server/listen.js';
import { batchAnswerSchema } from '../../../../contracts/inference/http-predict-batch.js';
import { createLogger } from '../../../../platform/logging.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';
import { fakeEngine, servedOf } from '../../../support/fake-model.js';
import { formWith, redImage } from '../../../support/served-api.js';

it('logs an internal error in a batch under the id in the response, and shows no details to the client', async () => {
  const engine = fakeEngine({ predictImage: () => Promise.reject(new Error('a secret of ours')) });
  const logger = createLogger('api', 'silent');
  const logged = jest.spyOn(logger, 'error');
  const dependencies = emptyDependencies({ host: { current: () => servedOf(engine), retirement: () => null }, logger });
  const listening = await listen(createApp(dependencies), '127.0.0.1', 0);
  try {
    const body = formWith('files', await redImage());
    const response = await fetch(`http://127.0.0.1:${listening.port}/predict/batch`, { method: 'POST', body });
    const text = await response.text();
    expect(text).not.toContain('secret');
    const [item] = batchAnswerSchema.parse(JSON.parse(text)).items;
    const id = item && 'problem' in item ? item.problem.trace_id : '';
    expect(logged).toHaveBeenCalledTimes(1);
    const [facts] = logged.mock.calls[0] ?? [];
    expect(JSON.stringify(facts)).toContain('a secret of ours');
    expect(facts).toMatchObject({ request_id: id });
  } finally {
    await listening.stop(1_000);
  }
});
