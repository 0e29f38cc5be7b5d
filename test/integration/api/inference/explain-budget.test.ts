import { createApp } from '../../../../api/app.js';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import { PerennialError } from '../../../../contracts/errors.js';
import { explainedPredictionSchema } from '../../../../contracts/inference/http-explanations.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import type { Explanation, ExplainOptions } from '../../../../model/serving/engine.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';
import { poll } from '../../../support/api-client.js';
import { fakeEngine, predictionOf, servedOf } from '../../../support/fake-model.js';
import { formWith, redImage } from '../../../support/served-api.js';

const mostAtOnce = 8;
const neighbour = { sha256: 'a'.repeat(64), label: 'a', distance: 0.25 };

function explanationOf({ neighbours }: ExplainOptions): Explanation {
  return {
    prediction: predictionOf([0.9, 0.1]),
    label: 'a',
    method: 'class_activation',
    map: [[1, 0]],
    logit: 1.1,
    bias: 0.1,
    overlay: null,
    neighbours: neighbours > 0 ? [neighbour] : [],
  };
}

describe('the budget of explanations', () => {
  let listening: Listening;
  let url: string;
  let waiting: (() => void)[];
  let isHeld: boolean;
  let image: Uint8Array;

  beforeAll(async () => {
    waiting = [];
    isHeld = false;
    image = await redImage();
    const engine = fakeEngine({
      predictImage: () => Promise.resolve(predictionOf([0.9, 0.1])),
      async explainImage(_bytes, options) {
        if (options.label === 'cactus') throw new PerennialError('bad_request', 'there is no cactus');
        if (isHeld) await new Promise<void>((resolve) => waiting.push(resolve));
        return explanationOf(options);
      },
    });
    const away = (): Promise<never> => Promise.reject(new PerennialError('database_unavailable', 'away'));
    const dependencies = emptyDependencies({
      host: { current: () => servedOf(engine), retirement: () => null },
      images: { find: away },
    });
    listening = await listen(createApp(dependencies), '127.0.0.1', 0);
    url = `http://127.0.0.1:${listening.port}`;
  });
  afterAll(() => listening.stop(1_000));

  const post = (path: string): Promise<Response> =>
    fetch(url + path, { method: 'POST', body: formWith('file', image) });

  it('limits how many run at once over all routes together; predictions do not count', async () => {
    isHeld = true;
    const held = Array.from({ length: mostAtOnce }, (_, index) =>
      post(index % 2 === 0 ? '/explain' : '/predict?explain=true'),
    );
    await poll(
      () => Promise.resolve(waiting.length),
      (count) => count === mostAtOnce,
    );
    for (const path of ['/explain', '/predict?explain=true']) {
      const refused = await post(path);
      expect(refused.headers.get('retry-after')).toBe('2');
      expect(problemSchema.parse(await refused.json())).toMatchObject({ status: 429, code: 'overloaded' });
    }
    expect((await post('/predict')).status).toBe(200);
    isHeld = false;
    for (const finish of waiting.splice(0)) finish();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual(held.map(() => 200));
    expect((await post('/explain')).status).toBe(200);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('mlops_requests_shed_total{reason="explanations"} 2');
    expect(metrics).toContain(`mlops_explanations_total{method="class_activation"} ${mostAtOnce + 1}`);
  });

  it('is released by explanations that fail', async () => {
    for (let index = 0; index <= mostAtOnce; index += 1) {
      expect((await post('/explain?label=cactus')).status).toBe(400);
    }
    expect((await post('/explain')).status).toBe(200);
  });

  it('omits the address of neighbours while the database cannot say whether they were erased', async () => {
    const response = await post('/explain?neighbours=3');
    const { neighbours } = explainedPredictionSchema.parse(await response.json()).explanation;
    expect(neighbours).toEqual([{ ...neighbour, image_url: null }]);
  });
});
